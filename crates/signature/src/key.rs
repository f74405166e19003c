//! Secrets as keys, and the comparison of signatures.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE_NO_PAD};
use registry::webhooks::{Algorithm, Encoding, SecretFormat};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use ring::{digest, hmac};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Standard base64, with or without padding, for secrets that people copy.
pub(crate) const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The SPKI structure (RFC 5480) of a public key on P-256, before its uncompressed point.
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// Bytes of an uncompressed point, and its first byte.
const POINT: usize = 65;
const UNCOMPRESSED: u8 = 4;

/// A key that verifies.
pub(crate) enum Key {
    Hmac(hmac::Key),
    P256(Vec<u8>),
}

impl Key {
    /// Makes the key of a secret; `None` if the secret does not have this format.
    pub(crate) fn new(algorithm: Algorithm, format: SecretFormat, secret: &str) -> Option<Self> {
        let algorithm = match algorithm {
            Algorithm::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Algorithm::HmacSha256 => hmac::HMAC_SHA256,
            Algorithm::HmacSha512 => hmac::HMAC_SHA512,
            Algorithm::EcdsaP256Sha256 => return p256_point(secret).map(Self::P256),
            Algorithm::Token | Algorithm::Basic => return None,
        };
        let bytes = match format {
            SecretFormat::Text => Zeroizing::new(secret.as_bytes().to_vec()),
            SecretFormat::Hex => Zeroizing::new(hex::decode(secret.trim()).ok()?),
            SecretFormat::Base64 => Zeroizing::new(LENIENT.decode(secret.trim()).ok()?),
            SecretFormat::Whsec => {
                let secret = secret.trim();
                let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
                Zeroizing::new(LENIENT.decode(encoded).ok()?)
            }
            SecretFormat::PublicKey => return None,
        };
        (!bytes.is_empty()).then(|| Self::Hmac(hmac::Key::new(algorithm, &bytes)))
    }

    /// Whether one of the signatures is that of `text`.
    pub(crate) fn verifies(&self, text: &[u8], encoding: Encoding, signatures: &[&str]) -> bool {
        match self {
            Self::Hmac(key) => {
                let expected = encode(encoding, hmac::sign(key, text).as_ref());
                signatures.iter().any(|signature| {
                    let signature = match encoding {
                        Encoding::Base64Url => signature.trim_end_matches('='),
                        Encoding::Hex | Encoding::Base64 => signature,
                    };
                    expected.as_bytes().ct_eq(signature.as_bytes()).into()
                })
            }
            Self::P256(point) => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point);
                signatures.iter().any(|signature| {
                    decode(encoding, signature).is_some_and(|signature| key.verify(text, &signature).is_ok())
                })
            }
        }
    }
}

/// Returns the point of a public key on P-256 that is written as PEM or as the base64 of its SPKI structure.
fn p256_point(text: &str) -> Option<Vec<u8>> {
    let lines = text.lines().map(str::trim);
    let encoded: String = lines.filter(|line| !line.starts_with("-----")).collect();
    let der = LENIENT.decode(encoded).ok()?;
    let point = der.strip_prefix(&P256_SPKI)?;
    (point.len() == POINT && point.first() == Some(&UNCOMPRESSED)).then(|| point.to_vec())
}

fn encode(encoding: Encoding, bytes: &[u8]) -> String {
    match encoding {
        Encoding::Hex => hex::encode(bytes),
        Encoding::Base64 => STANDARD.encode(bytes),
        Encoding::Base64Url => URL_SAFE_NO_PAD.encode(bytes),
    }
}

fn decode(encoding: Encoding, text: &str) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Hex => hex::decode(text).ok(),
        Encoding::Base64 => STANDARD.decode(text).ok(),
        Encoding::Base64Url => URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok(),
    }
}

/// Whether two texts are equal, in a time that depends on neither: their hashes are compared, which have one length.
pub(crate) fn equal(one: &[u8], other: &[u8]) -> bool {
    let hash = |bytes| digest::digest(&digest::SHA256, bytes);
    hash(one).as_ref().ct_eq(hash(other).as_ref()).into()
}

/// Returns the SHA-256 hash of a body in lower-case hex.
pub(crate) fn sha256_hex(body: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_does_not_have_its_format_is_no_key() {
        for (format, secret) in [
            (SecretFormat::Text, ""),
            (SecretFormat::Hex, "xyz"),
            (SecretFormat::Base64, "a!"),
            (SecretFormat::Base64, ""),
            (SecretFormat::Whsec, "whsec_"),
            (SecretFormat::PublicKey, "abcd"),
        ] {
            assert!(
                Key::new(Algorithm::HmacSha256, format, secret).is_none(),
                "{secret}"
            );
        }
        for secret in ["", "abcd", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----"] {
            assert!(Key::new(Algorithm::EcdsaP256Sha256, SecretFormat::PublicKey, secret).is_none());
        }
    }

    #[test]
    fn texts_are_equal_only_if_all_of_them_is() {
        assert!(equal(b"", b"") && equal(b"abc", b"abc"));
        assert!(!equal(b"abc", b"abd") && !equal(b"abc", b"ab") && !equal(b"", b"a"));
    }
}
