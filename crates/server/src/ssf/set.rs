//! Security event tokens (RFC 8417): JSON signed as a compact JWS (RFC 7515), read and written.
//!
//! Small enough to be ours on `ring`: three algorithms, no encryption, no `none`, no key in the token.

use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use schema::sha256;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

/// Characters of a token; those of CAEP have about a thousand.
pub const TOKEN_CHARS_MAX: usize = 64 << 10;
/// Keys of one issuer.
const KEYS_MAX: usize = 64;

/// Why a token is not believed. The words are those of RFC 8935 §2.4.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    #[error("the body is not a security event token: {0}")]
    Malformed(&'static str),
    #[error("the token is signed with an algorithm or key that is not configured for its issuer")]
    Key,
    #[error("the signature is not the issuer's")]
    Signature,
}

/// An issuer's public keys (RFC 7517).
#[derive(Debug, Clone, Default)]
pub struct Keys(Vec<Key>);

#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    public: Public,
}

#[derive(Debug, Clone)]
enum Public {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Uncompressed point.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    crv: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<Json>,
}

impl Keys {
    /// Reads a JWKS; keys for other uses or of kinds we do not take are left out.
    pub fn parse(text: &str) -> Result<Keys, String> {
        let jwks: Jwks = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let is_for_signing = |jwk: &&Jwk| jwk.usage.as_deref().is_none_or(|usage| usage == "sig");
        let keys: Vec<Key> =
            jwks.keys.iter().filter(is_for_signing).take(KEYS_MAX).filter_map(key).collect();
        if keys.is_empty() {
            return Err("it has no RSA (2048 bits or more), P-256 or Ed25519 key".to_owned());
        }
        Ok(Keys(keys))
    }
}

fn key(jwk: &Jwk) -> Option<Key> {
    let bytes = |text: &Option<String>| BASE64URL_NOPAD.decode(text.as_ref()?.as_bytes()).ok();
    let public = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => Public::Rsa { n: bytes(&jwk.n)?, e: bytes(&jwk.e)? },
        ("EC", Some("P-256")) => {
            let (x, y) = (bytes(&jwk.x)?, bytes(&jwk.y)?);
            if x.len() != 32 || y.len() != 32 {
                return None;
            }
            Public::P256([vec![4], x, y].concat())
        }
        ("OKP", Some("Ed25519")) => Public::Ed25519(bytes(&jwk.x)?),
        _ => return None,
    };
    Some(Key { id: jwk.kid.clone(), public })
}

impl Key {
    /// Whether the key's kind is the algorithm's, and the signature its.
    fn verifies(&self, algorithm: &str, signed: &[u8], signature: &[u8]) -> Option<bool> {
        let is_good = match (&self.public, algorithm) {
            (Public::Rsa { n, e }, "RS256") => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
                .is_ok(),
            (Public::P256(point), "ES256") => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(signed, signature)
                    .is_ok()
            }
            (Public::Ed25519(point), "EdDSA") => {
                UnparsedPublicKey::new(&signature::ED25519, point).verify(signed, signature).is_ok()
            }
            _ => return None,
        };
        Some(is_good)
    }
}

/// A token taken apart, its signature not yet looked at.
pub struct Unverified<'a> {
    header: Header,
    claims: Map<String, Json>,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Unverified<'a> {
    pub fn parse(token: &'a str) -> Result<Unverified<'a>, SetError> {
        if token.len() > TOKEN_CHARS_MAX {
            return Err(SetError::Malformed("it is too long"));
        }
        let malformed = || SetError::Malformed("it is not three parts of base64url");
        let (signed, signature) = token.trim().rsplit_once('.').ok_or_else(malformed)?;
        let (header, claims) = signed.split_once('.').ok_or_else(malformed)?;
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| malformed());
        let header: Header = serde_json::from_slice(&decode(header)?)
            .map_err(|_| SetError::Malformed("its header is not a JOSE header"))?;
        let claims = serde_json::from_slice(&decode(claims)?)
            .map_err(|_| SetError::Malformed("its claims are not a JSON object"))?;
        // RFC 8417 §2.3 recommends the type so that no other kind of token is taken for one.
        let typ = header.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
        if typ.trim_start_matches("application/") != "secevent+jwt" {
            return Err(SetError::Malformed("its `typ` is not `secevent+jwt`"));
        }
        if header.crit.is_some() {
            return Err(SetError::Malformed("it has critical header fields we do not know"));
        }
        Ok(Unverified { header, claims, signed, signature: decode(signature)? })
    }

    /// Who says to have issued it; decides which keys to try, nothing else.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Json::as_str)
    }

    /// The claims, if one of the keys signed them.
    pub fn verify(self, keys: &Keys) -> Result<Map<String, Json>, SetError> {
        let named = self.header.kid.as_deref();
        let candidates = keys.0.iter().filter(|key| named.is_none() || key.id.as_deref() == named);
        let mut tried = false;
        for key in candidates {
            let signed = self.signed.as_bytes();
            match key.verifies(&self.header.alg, signed, &self.signature) {
                Some(true) => return Ok(self.claims),
                Some(false) => tried = true,
                None => {}
            }
        }
        Err(if tried { SetError::Signature } else { SetError::Key })
    }
}

/// Our own key: ECDSA on P-256, which every receiver knows.
pub struct Signer {
    pair: EcdsaKeyPair,
    id: String,
}

impl Signer {
    /// A new key, as PKCS #8 for the disk.
    pub fn generate() -> Result<Vec<u8>, ring::error::Unspecified> {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?;
        Ok(document.as_ref().to_vec())
    }

    pub fn open(pkcs8: &[u8]) -> Option<Signer> {
        let random = SystemRandom::new();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random).ok()?;
        let (x, y) = coordinates(&pair)?;
        // RFC 7638: the thumbprint of the members that make the key, in this order.
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let id = BASE64URL_NOPAD.encode(&sha256(canonical.as_bytes()).0);
        Some(Signer { pair, id })
    }

    pub fn jwks(&self) -> Json {
        let (x, y) = coordinates(&self.pair).unwrap_or_default();
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig",
            "kid": self.id, "x": x, "y": y,
        }] })
    }

    /// The claims as a signed token.
    pub fn sign(&self, claims: &Json) -> Option<String> {
        let header = Header {
            alg: "ES256".to_owned(),
            typ: Some("secevent+jwt".to_owned()),
            kid: Some(self.id.clone()),
            crit: None,
        };
        let header = BASE64URL_NOPAD.encode(&serde_json::to_vec(&header).ok()?);
        let claims = BASE64URL_NOPAD.encode(&serde_json::to_vec(claims).ok()?);
        let signed = format!("{header}.{claims}");
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).ok()?;
        Some(format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref())))
    }
}

fn coordinates(pair: &EcdsaKeyPair) -> Option<(String, String)> {
    let point = pair.public_key().as_ref().get(1..)?;
    let (x, y) = point.split_at_checked(32)?;
    Some((BASE64URL_NOPAD.encode(x), BASE64URL_NOPAD.encode(y)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> (Signer, Keys) {
        let signer = Signer::open(&Signer::generate().unwrap()).unwrap();
        let keys = Keys::parse(&signer.jwks().to_string()).unwrap();
        (signer, keys)
    }

    #[test]
    fn what_is_signed_is_read_by_the_published_key_and_no_other() {
        let (signer, keys) = signer();
        let token = signer.sign(&json!({ "iss": "https://idp.example", "jti": "1" })).unwrap();
        let unverified = Unverified::parse(&token).unwrap();
        assert_eq!(unverified.issuer(), Some("https://idp.example"));
        assert_eq!(unverified.verify(&keys).unwrap()["jti"], "1");
        let (_, others) = self::signer();
        assert_eq!(Unverified::parse(&token).unwrap().verify(&others), Err(SetError::Key));
    }

    #[test]
    fn a_changed_token_is_not_believed() {
        let (signer, keys) = signer();
        let token = signer.sign(&json!({ "iss": "a", "sub": "kim" })).unwrap();
        let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
        parts[1] = BASE64URL_NOPAD.encode(br#"{"iss":"a","sub":"lee"}"#);
        let changed = parts.join(".");
        assert_eq!(Unverified::parse(&changed).unwrap().verify(&keys), Err(SetError::Signature));
        for (header, error) in [
            (r#"{"alg":"none","typ":"secevent+jwt"}"#, SetError::Key),
            (r#"{"alg":"HS256","typ":"secevent+jwt"}"#, SetError::Key),
            (r#"{"alg":"ES256","typ":"secevent+jwt","kid":"other"}"#, SetError::Key),
        ] {
            parts[0] = BASE64URL_NOPAD.encode(header.as_bytes());
            let token = parts.join(".");
            assert_eq!(Unverified::parse(&token).unwrap().verify(&keys), Err(error), "{header}");
        }
        for header in [
            r#"{"alg":"ES256","typ":"JWT"}"#,
            r#"{"alg":"ES256"}"#,
            r#"{"alg":"ES256","typ":"secevent+jwt","crit":["b64"]}"#,
        ] {
            parts[0] = BASE64URL_NOPAD.encode(header.as_bytes());
            assert!(Unverified::parse(&parts.join(".")).is_err(), "{header}");
        }
        for token in ["", "..", "a.b", "a.b.c", &"a".repeat(TOKEN_CHARS_MAX + 1)] {
            assert!(Unverified::parse(token).is_err());
        }
    }

    /// RFC 8037 appendix A: an Ed25519 key and signature somebody else made.
    #[test]
    fn an_edwards_key_of_another_house_is_read() {
        let keys = Keys::parse(
            r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
        )
        .unwrap();
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let signed = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
        assert_eq!(keys.0[0].verifies("EdDSA", signed, &signature), Some(true));
    }
}
