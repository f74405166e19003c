//! The two signatures of Nango's webhooks, which its SDK verifies (`verifyIncomingWebhookRequest`, `verifyWebhookSignature`).

use ring::{digest, hmac};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// The header of [`Signature::hmac_sha256`].
pub const HMAC_HEADER: &str = "X-Nango-Hmac-Sha256";
/// The header of [`Signature::sha256`].
pub const SHA256_HEADER: &str = "X-Nango-Signature";

/// The values of the two headers of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// HMAC-SHA256 of the body, in lower-case hex. The key is the signing key as UTF-8.
    pub hmac_sha256: String,
    /// SHA-256 of the signing key followed by the body, in lower-case hex: Nango's older form.
    pub sha256: String,
}

impl Signature {
    /// Returns the headers to send, each with its value.
    pub fn headers(&self) -> [(&'static str, &str); 2] {
        [(HMAC_HEADER, &self.hmac_sha256), (SHA256_HEADER, &self.sha256)]
    }
}

/// Returns a new signing key: 64 hex digits (256 bits).
pub fn generate_key() -> SecretString {
    let bytes = Zeroizing::new(rand::random::<[u8; 32]>());
    hex::encode(*bytes).into()
}

/// Signs the bytes of a body. The older signature is verified over re-serialized JSON, so the body must be compact JSON.
pub fn sign(key: &SecretString, body: &[u8]) -> Signature {
    let key = key.expose_secret().as_bytes();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), body);
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(key);
    hash.update(body);
    Signature {
        hmac_sha256: hex::encode(tag),
        sha256: hex::encode(hash.finish()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with OpenSSL 3: `openssl dgst -sha256 -hmac KEY`, and `openssl dgst -sha256` of key and body.
    #[test]
    fn a_body_is_signed_as_openssl_does() {
        let body = r#"{"from":"nango","type":"sync","note":"Grüße"}"#;

        let signed = sign(&"signing-key-1".into(), body.as_bytes());

        assert_eq!(
            signed.headers(),
            [
                (
                    "X-Nango-Hmac-Sha256",
                    "2c4dc00695458fcab9765b7ba9637c9f262df285d1c01ae078c1490175d4811f"
                ),
                (
                    "X-Nango-Signature",
                    "cb30fcf17990899abb6f7ea8625aa0eba1f4ba67aa0c5838417fadb5ca0dd2f9"
                ),
            ]
        );
    }

    #[test]
    fn generated_keys_have_64_hex_digits_and_differ() {
        let (key, other) = (generate_key(), generate_key());
        assert_eq!(hex::decode(key.expose_secret()).unwrap().len(), 32);
        assert_ne!(key.expose_secret(), other.expose_secret());
    }
}
