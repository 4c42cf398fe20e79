//! Standard Webhooks 1.0 signatures (<https://www.standardwebhooks.com>, spec §"Signature scheme").

use data_encoding::BASE64;
use ring::hmac;
use schema::Secret;

/// Key bytes: at least 192 bits, at most 512, as the specification recommends.
const KEY_BYTES_MIN: usize = 24;
const KEY_BYTES_MAX: usize = 64;

/// The key shared with a receiver: `whsec_` and base64, or plain text of 24 bytes or more.
pub struct SigningSecret(hmac::Key);

impl SigningSecret {
    /// `None` when it is too short, too long or not base64.
    pub fn parse(secret: &Secret) -> Option<Self> {
        let text = secret.reveal().trim();
        let bytes = match text.strip_prefix("whsec_") {
            Some(encoded) => BASE64.decode(encoded.as_bytes()).ok()?,
            None => text.as_bytes().to_vec(),
        };
        (KEY_BYTES_MIN..=KEY_BYTES_MAX)
            .contains(&bytes.len())
            .then(|| SigningSecret(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }
}

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("****")
    }
}

/// The three headers of a signed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// `webhook-id`
    pub id: String,
    /// `webhook-timestamp`, seconds since 1970.
    pub timestamp: String,
    /// `webhook-signature`: `v1,` and base64 of HMAC-SHA-256 over `id.timestamp.body`.
    pub signature: String,
}

pub fn sign(secret: &SigningSecret, id: &str, time_ms: i64, body: &[u8]) -> Signature {
    let timestamp = time_ms.div_euclid(1000).to_string();
    let mut context = hmac::Context::with_key(&secret.0);
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        context.update(part);
    }
    let signature = format!("v1,{}", BASE64.encode(context.sign().as_ref()));
    Signature { id: id.to_owned(), timestamp, signature }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks reference libraries.
    #[test]
    fn the_reference_signature_comes_out() {
        let secret =
            SigningSecret::parse(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let signed = sign(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330_000,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed.timestamp, "1614265330");
        assert_eq!(signed.signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_short_key_is_no_key() {
        assert!(SigningSecret::parse(&Secret::new("whsec_c2hvcnQ=")).is_none());
        assert!(SigningSecret::parse(&Secret::new("too short")).is_none());
    }
}
