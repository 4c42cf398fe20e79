//! Passkeys: what a browser answers for a key in somebody's device (WebAuthn Level 3). Pure.
//!
//! No attestation is asked for: whose make a device is tells nothing here. The browser therefore
//! gives the public key and the authenticator's data as they are, and no CBOR has to be read.

use data_encoding::BASE64URL_NOPAD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use schema::sha256;
use serde::Deserialize;

/// COSE's numbers of what we verify: ECDSA on P-256 with SHA-256, and Ed25519.
pub const ALGORITHMS: [i64; 2] = [ES256, EDDSA];
const ES256: i64 = -7;
const EDDSA: i64 = -8;

/// How `SubjectPublicKeyInfo` begins for the two (RFC 5480 with an uncompressed point, RFC 8410).
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const ED25519_SPKI: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Flags of authenticator data (§6.1).
const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const HAS_KEY: u8 = 1 << 6;

/// Bytes of a credential id (§4).
const ID_BYTES_MAX: usize = 1023;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("the answer is not base64url")]
    Encoding,
    #[error("the answer is for something else than was asked")]
    Purpose,
    #[error("the answer was given to another site than this")]
    Origin,
    #[error("the device did not verify who used it: set a PIN, fingerprint or face on it")]
    NotVerified,
    #[error("the answer is not as WebAuthn has it")]
    Form,
    #[error("the key is neither ES256 nor Ed25519")]
    Algorithm,
    #[error("the signature is not of this key")]
    Signature,
}

/// What the browser signed or showed, before it is believed.
pub struct Answer<'a> {
    /// base64url, as all that follow.
    pub client_data: &'a str,
    pub authenticator_data: &'a str,
}

/// Where we are, as the browser sees it.
pub struct Site<'a> {
    /// `plura.example` or `plura.example:8443`.
    pub authority: &'a str,
}

impl<'a> Site<'a> {
    /// Passkeys belong to a name (§5.1.3: a domain, so an address has none).
    pub fn name(&self) -> Option<&'a str> {
        let name = match self.authority.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => self.authority,
        };
        let is_domain = name.parse::<std::net::Ipv4Addr>().is_err()
            && !name.is_empty()
            && !name.ends_with('.')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        is_domain.then_some(name)
    }
}

/// The part of client data (§5.8.1) that is looked at.
#[derive(Deserialize)]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    is_cross_origin: bool,
}

/// A key that was just made.
#[derive(Debug, PartialEq, Eq)]
pub struct Made {
    pub algorithm: i64,
    pub public_key: Vec<u8>,
    pub signatures: u32,
    pub challenge: String,
}

/// Registration (§7.1), for the credential `id` with the public key as `SubjectPublicKeyInfo`.
pub fn made(answer: &Answer<'_>, site: &Site<'_>, id: &str, spki: &str) -> Result<Made, Wrong> {
    let (challenge, _) = client_data(answer, site, "webauthn.create")?;
    let data = decode(answer.authenticator_data)?;
    let (flags, signatures, rest) = authenticator_data(&data, site)?;
    // AAGUID (16 bytes), length of the id, id, then the key in COSE.
    let length = rest.get(16..18).ok_or(Wrong::Form)?;
    let length = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let of = rest.get(18..18 + length).ok_or(Wrong::Form)?;
    let is_id = !of.is_empty() && of.len() <= ID_BYTES_MAX && of == decode(id)?;
    if flags & HAS_KEY == 0 || !is_id {
        return Err(Wrong::Form);
    }
    let spki = decode(spki)?;
    let (algorithm, public_key) = if let Some(point) = spki.strip_prefix(&P256_SPKI) {
        (ES256, point)
    } else if let Some(key) = spki.strip_prefix(&ED25519_SPKI) {
        (EDDSA, key)
    } else {
        return Err(Wrong::Algorithm);
    };
    let length = if algorithm == ES256 { 65 } else { 32 };
    if public_key.len() != length {
        return Err(Wrong::Form);
    }
    Ok(Made { algorithm, public_key: public_key.to_vec(), signatures, challenge })
}

/// Signing in (§7.2): the challenge that was signed and the signature count.
pub fn signed(
    answer: &Answer<'_>,
    site: &Site<'_>,
    algorithm: i64,
    public_key: &str,
    signature: &str,
) -> Result<(String, u32), Wrong> {
    let (challenge, client_data) = client_data(answer, site, "webauthn.get")?;
    let data = decode(answer.authenticator_data)?;
    let (_, signatures, _) = authenticator_data(&data, site)?;
    let verifier: &dyn VerificationAlgorithm = match algorithm {
        ES256 => &ECDSA_P256_SHA256_ASN1,
        EDDSA => &ED25519,
        _ => return Err(Wrong::Algorithm),
    };
    let message = [&data[..], &sha256(&client_data).0].concat();
    UnparsedPublicKey::new(verifier, decode(public_key)?)
        .verify(&message, &decode(signature)?)
        .map_err(|_| Wrong::Signature)?;
    Ok((challenge, signatures))
}

/// The challenge that was answered, once purpose and origin are right; not yet whether we gave it.
pub fn challenge(answer: &Answer<'_>, site: &Site<'_>, purpose: &str) -> Result<String, Wrong> {
    client_data(answer, site, purpose).map(|(challenge, _)| challenge)
}

fn client_data(
    answer: &Answer<'_>,
    site: &Site<'_>,
    purpose: &str,
) -> Result<(String, Vec<u8>), Wrong> {
    let bytes = decode(answer.client_data)?;
    let data: ClientData = serde_json::from_slice(&bytes).map_err(|_| Wrong::Form)?;
    if data.r#type != purpose {
        return Err(Wrong::Purpose);
    }
    let authority = data.origin.strip_prefix("https://").ok_or(Wrong::Origin)?;
    let port = |authority: &str| authority.strip_suffix(":443").unwrap_or(authority).to_lowercase();
    if port(authority) != port(site.authority) || data.is_cross_origin {
        return Err(Wrong::Origin);
    }
    Ok((data.challenge, bytes))
}

/// Flags, signature count and what follows (§6.1), once site and person are right.
fn authenticator_data<'a>(data: &'a [u8], site: &Site<'_>) -> Result<(u8, u32, &'a [u8]), Wrong> {
    let (of, rest) = data.split_first_chunk::<32>().ok_or(Wrong::Form)?;
    let (flags, rest) = rest.split_first().ok_or(Wrong::Form)?;
    let (count, rest) = rest.split_first_chunk::<4>().ok_or(Wrong::Form)?;
    let name = site.name().ok_or(Wrong::Origin)?;
    if *of != sha256(name.to_lowercase().as_bytes()).0 {
        return Err(Wrong::Origin);
    }
    if flags & USER_PRESENT == 0 || flags & USER_VERIFIED == 0 {
        return Err(Wrong::NotVerified);
    }
    Ok((*flags, u32::from_be_bytes(*count), rest))
}

fn decode(text: &str) -> Result<Vec<u8>, Wrong> {
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| Wrong::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};

    const SITE: Site<'static> = Site { authority: "plura.example:8443" };

    fn b64(bytes: &[u8]) -> String {
        BASE64URL_NOPAD.encode(bytes)
    }

    fn client(kind: &str, origin: &str) -> String {
        b64(format!(r#"{{"type":"{kind}","challenge":"Y2hhbA","origin":"{origin}","new":[1]}}"#)
            .as_bytes())
    }

    fn data(name: &str, flags: u8, count: u32, more: &[u8]) -> String {
        b64(&[&sha256(name.as_bytes()).0[..], &[flags], &count.to_be_bytes(), more].concat())
    }

    fn key_data(id: &[u8]) -> Vec<u8> {
        [&[0; 16][..], &[0, id.len() as u8], id, b"cose"].concat()
    }

    const CREATE: &str = "webauthn.create";
    const GET: &str = "webauthn.get";
    const HERE: &str = "https://plura.example:8443";
    const VERIFIED: u8 = USER_PRESENT | USER_VERIFIED;

    #[test]
    fn a_key_is_made_and_signs() {
        let random = SystemRandom::new();
        let document = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let ed = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let kind = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let ec = EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap();
        let spki = [
            (EDDSA, [&ED25519_SPKI[..], ed.public_key().as_ref()].concat()),
            (ES256, [&P256_SPKI[..], ec.public_key().as_ref()].concat()),
        ];
        for (algorithm, spki) in spki {
            let client_data = client(CREATE, HERE);
            let authenticator_data =
                data("plura.example", VERIFIED | HAS_KEY, 7, &key_data(b"id-1"));
            let answer =
                Answer { client_data: &client_data, authenticator_data: &authenticator_data };
            let made = made(&answer, &SITE, &b64(b"id-1"), &b64(&spki)).unwrap();
            assert_eq!((made.algorithm, made.signatures), (algorithm, 7));
            assert_eq!(made.challenge, "Y2hhbA");
            let other = super::made(&answer, &SITE, &b64(b"id-2"), &b64(&spki));
            assert_eq!(other, Err(Wrong::Form), "the id is another");
            let rsa = super::made(&answer, &SITE, &b64(b"id-1"), &b64(b"0\x82rsa"));
            assert_eq!(rsa, Err(Wrong::Algorithm));

            let client_data = client(GET, HERE);
            let authenticator_data = data("plura.example", VERIFIED, 8, b"");
            let message = [
                BASE64URL_NOPAD.decode(authenticator_data.as_bytes()).unwrap(),
                sha256(&BASE64URL_NOPAD.decode(client_data.as_bytes()).unwrap()).0.to_vec(),
            ]
            .concat();
            let signature = match algorithm {
                EDDSA => b64(ed.sign(&message).as_ref()),
                _ => b64(ec.sign(&random, &message).unwrap().as_ref()),
            };
            let answer =
                Answer { client_data: &client_data, authenticator_data: &authenticator_data };
            let key = b64(&made.public_key);
            let ask = |answer: &Answer<'_>| signed(answer, &SITE, algorithm, &key, &signature);
            assert_eq!(ask(&answer), Ok(("Y2hhbA".to_owned(), 8)));
            let counted = data("plura.example", VERIFIED, 9, b"");
            let changed = Answer { client_data: &client_data, authenticator_data: &counted };
            assert_eq!(ask(&changed), Err(Wrong::Signature));
        }
    }

    #[test]
    fn what_was_meant_for_elsewhere_is_refused() {
        let good = data("plura.example", VERIFIED | HAS_KEY, 0, &key_data(b"id"));
        let spki = b64(&[&ED25519_SPKI[..], &[7; 32]].concat());
        let ask = |client: &str, data: &str| {
            let answer = Answer { client_data: client, authenticator_data: data };
            made(&answer, &SITE, &b64(b"id"), &spki).map(|_| ())
        };
        assert_eq!(ask(&client(CREATE, HERE), &good), Ok(()));
        assert_eq!(ask(&client(GET, HERE), &good), Err(Wrong::Purpose));
        for origin in
            ["https://plura.example", "https://evil.example:8443", "http://plura.example:8443"]
        {
            assert_eq!(ask(&client(CREATE, origin), &good), Err(Wrong::Origin), "{origin}");
        }
        let framed = br#"{"type":"webauthn.create","challenge":"Y2hhbA","origin":"https://plura.example:8443","crossOrigin":true}"#;
        assert_eq!(ask(&b64(framed), &good), Err(Wrong::Origin));
        let of = |name, flags| data(name, flags, 0, &key_data(b"id"));
        let here = client(CREATE, HERE);
        assert_eq!(ask(&here, &of("evil.example", VERIFIED | HAS_KEY)), Err(Wrong::Origin));
        assert_eq!(
            ask(&here, &of("plura.example", USER_PRESENT | HAS_KEY)),
            Err(Wrong::NotVerified)
        );
        assert_eq!(ask(&here, &of("plura.example", VERIFIED)), Err(Wrong::Form));
        assert_eq!(ask(&here, &b64(b"short")), Err(Wrong::Form));
        assert_eq!(ask("***", &good), Err(Wrong::Encoding));
        assert_eq!(ask(&b64(b"[]"), &good), Err(Wrong::Form));
        let long = data(
            "plura.example",
            VERIFIED | HAS_KEY,
            0,
            &[[0; 16].as_slice(), &[0xff, 0xff, 1]].concat(),
        );
        assert_eq!(ask(&here, &long), Err(Wrong::Form), "an id longer than the data");
    }

    #[test]
    fn an_address_has_no_name_for_keys() {
        let name = |authority| Site { authority }.name().map(str::to_owned);
        assert_eq!(name("localhost:8443").as_deref(), Some("localhost"));
        assert_eq!(name("plura.example").as_deref(), Some("plura.example"));
        for address in ["127.0.0.1:8443", "[::1]:8443", "", ":8443", "a/b"] {
            assert_eq!(name(address), None, "{address}");
        }
    }
}
