//! Standard Webhooks 1.0.0 (<https://www.standardwebhooks.com>): keys, and the three headers of a request.
//!
//! The signed text is `{id}.{timestamp}.{body}`. A shared secret (`whsec_`) makes an entry `v1` with HMAC-SHA256; an ed25519 private key
//! (`whsk_`) makes an entry `v1a`, which the receiver verifies with the public key (`whpk_`).

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use domain::Timestamp;
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// The header of [`Signature::id`].
pub const ID_HEADER: &str = "webhook-id";
/// The header of [`Signature::timestamp`].
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The header of [`Signature::signature`].
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// The prefix of a shared secret.
const SECRET_PREFIX: &str = "whsec_";
/// The prefix of an ed25519 private key.
const PRIVATE_PREFIX: &str = "whsk_";
/// The prefix of an ed25519 public key.
const PUBLIC_PREFIX: &str = "whpk_";
/// The bytes of a shared secret that the specification allows.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Bytes of an ed25519 seed, and of a public key.
const HALF: usize = 32;
/// The longest id of an event.
const LONGEST_ID: usize = 255;

/// Why a text is not a key. Does not quote the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text does not start like a key.
    #[error("a signing key must start with `whsec_` (a shared secret) or `whsk_` (an ed25519 private key)")]
    Prefix,
    /// The text is a public key, which cannot sign.
    #[error(
        "this is a public key (`whpk_`), which only verifies: give the private key, which starts with `whsk_`"
    )]
    Public,
    /// What follows the prefix is not base64.
    #[error("the part after `{prefix}` must be base64 (the standard alphabet, with + and /)")]
    NotBase64 {
        /// The prefix of the key.
        prefix: &'static str,
    },
    /// The decoded key has a wrong length.
    #[error("the part after `{prefix}` must be {expected} bytes in base64 (got {bytes} bytes)")]
    Length {
        /// The prefix of the key.
        prefix: &'static str,
        /// The lengths that are allowed, such as `24 to 64`.
        expected: &'static str,
        /// The length of the text's content.
        bytes: usize,
    },
    /// The two halves of a private key do not match.
    #[error("the last 32 bytes of a `whsk_` key must be the public key of its first 32 bytes")]
    Mismatch,
}

/// Why a request cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// A request without a signature would be taken for a forged one.
    #[error("an endpoint needs at least one signing key")]
    NoKey,
    /// A point in the id would make the signed text ambiguous.
    #[error("the id of an event must have 1 to 255 letters, digits, _ or -")]
    InvalidId,
}

/// A key that signs: a shared secret or an ed25519 key pair.
pub struct SigningKey(Key);

enum Key {
    Shared(hmac::Key),
    Pair(Ed25519KeyPair),
}

impl SigningKey {
    /// Reads a key that starts with `whsec_` or `whsk_`. Padding of the base64 may be missing.
    pub fn parse(text: &SecretString) -> Result<Self, KeyError> {
        let text = text.expose_secret();
        if let Some(encoded) = text.strip_prefix(SECRET_PREFIX) {
            let bytes = decode(SECRET_PREFIX, encoded)?;
            if !SECRET_BYTES.contains(&bytes.len()) {
                let prefix = SECRET_PREFIX;
                return Err(KeyError::Length {
                    prefix,
                    expected: "24 to 64",
                    bytes: bytes.len(),
                });
            }
            return Ok(Self(Key::Shared(hmac::Key::new(hmac::HMAC_SHA256, &bytes))));
        }
        if let Some(encoded) = text.strip_prefix(PRIVATE_PREFIX) {
            let bytes = decode(PRIVATE_PREFIX, encoded)?;
            let Some((seed, public)) = bytes
                .split_at_checked(HALF)
                .filter(|(_, rest)| rest.len() == HALF)
            else {
                let prefix = PRIVATE_PREFIX;
                return Err(KeyError::Length {
                    prefix,
                    expected: "64",
                    bytes: bytes.len(),
                });
            };
            let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public);
            return pair
                .map(|pair| Self(Key::Pair(pair)))
                .map_err(|_| KeyError::Mismatch);
        }
        Err(if text.starts_with(PUBLIC_PREFIX) {
            KeyError::Public
        } else {
            KeyError::Prefix
        })
    }

    /// Returns the public key as `whpk_…`, or `None` for a shared secret.
    pub fn public_key(&self) -> Option<String> {
        match &self.0 {
            Key::Shared(_) => None,
            Key::Pair(pair) => Some(format!("{PUBLIC_PREFIX}{}", STANDARD.encode(pair.public_key()))),
        }
    }

    /// Returns the entry of the signature header, such as `v1,…`.
    fn entry(&self, signed: &[u8]) -> String {
        match &self.0 {
            Key::Shared(key) => format!("v1,{}", STANDARD.encode(hmac::sign(key, signed))),
            Key::Pair(pair) => format!("v1a,{}", STANDARD.encode(pair.sign(signed))),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Key::Shared(_) => "SigningKey(whsec_…)",
            Key::Pair(_) => "SigningKey(whsk_…)",
        })
    }
}

/// The values of the three headers of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The id of the event, the same for all attempts.
    pub id: String,
    /// The time of the attempt, in seconds since 1970.
    pub timestamp: String,
    /// An entry for each key, separated by spaces.
    pub signature: String,
}

impl Signature {
    /// Returns the headers to send, each with its value.
    pub fn headers(&self) -> [(&'static str, &str); 3] {
        [
            (ID_HEADER, &self.id),
            (TIMESTAMP_HEADER, &self.timestamp),
            (SIGNATURE_HEADER, &self.signature),
        ]
    }
}

/// Signs an attempt to deliver an event with each of the keys. While a secret is rotated, pass the new key and the old one.
pub fn sign<'k>(
    keys: impl IntoIterator<Item = &'k SigningKey>,
    id: &str,
    at: Timestamp,
    body: &[u8],
) -> Result<Signature, SignError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.is_empty() || id.len() > LONGEST_ID || !id.chars().all(plain) {
        return Err(SignError::InvalidId);
    }
    let timestamp = at.as_micros().div_euclid(1_000_000).to_string();
    let mut signed = format!("{id}.{timestamp}.").into_bytes();
    signed.extend_from_slice(body);
    let entries: Vec<String> = keys.into_iter().map(|key| key.entry(&signed)).collect();
    if entries.is_empty() {
        return Err(SignError::NoKey);
    }
    Ok(Signature {
        id: id.to_owned(),
        timestamp,
        signature: entries.join(" "),
    })
}

/// Returns a new shared secret: `whsec_` and 32 random bytes in base64.
pub fn generate_secret() -> SecretString {
    let bytes = Zeroizing::new(rand::random::<[u8; 32]>());
    format!("{SECRET_PREFIX}{}", STANDARD.encode(*bytes)).into()
}

/// Returns a new ed25519 private key: `whsk_`, and its seed and public key in base64.
#[expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "ring refuses only a seed of another length than 32 bytes"
)]
pub fn generate_private_key() -> SecretString {
    let seed = Zeroizing::new(rand::random::<[u8; HALF]>());
    let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).expect("a seed has 32 bytes");
    let mut bytes = Zeroizing::new([0; 2 * HALF]);
    for (to, from) in bytes
        .iter_mut()
        .zip(seed.iter().chain(pair.public_key().as_ref()))
    {
        *to = *from;
    }
    format!("{PRIVATE_PREFIX}{}", STANDARD.encode(*bytes)).into()
}

fn decode(prefix: &'static str, encoded: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    // The decoder's own error quotes the invalid byte, so it is dropped.
    let decoded = GeneralPurpose::new(&alphabet::STANDARD, LENIENT).decode(encoded);
    decoded
        .map(Zeroizing::new)
        .map_err(|_| KeyError::NotBase64 { prefix })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    /// The vector of the reference library, in libraries/rust/src/lib.rs of standard-webhooks/standard-webhooks.
    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    const AT: Timestamp = Timestamp::from_micros(1_649_367_553_999_999);
    const BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;
    const ENTRY: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";

    fn key(text: &str) -> SigningKey {
        SigningKey::parse(&text.into()).unwrap()
    }

    #[test]
    fn the_vector_of_the_reference_library_is_reproduced() {
        let signed = sign(&[key(SECRET)], ID, AT, BODY).unwrap();
        assert_eq!(
            signed.headers(),
            [
                ("webhook-id", ID),
                ("webhook-timestamp", "1649367553"),
                ("webhook-signature", ENTRY)
            ]
        );
    }

    #[test]
    fn each_key_makes_an_entry_in_the_order_of_the_keys() {
        let private = key(generate_private_key().expose_secret());
        let public = private.public_key().unwrap();

        let signed = sign(
            &[private, key(SECRET), key(generate_secret().expose_secret())],
            ID,
            AT,
            BODY,
        );

        let signature = signed.unwrap().signature;
        let entries: Vec<&str> = signature.split(' ').collect();
        assert_eq!((entries.len(), entries[1]), (3, ENTRY));
        assert!(
            entries[2].starts_with("v1,") && entries[2] != ENTRY,
            "{signature}"
        );
        let public = STANDARD.decode(public.strip_prefix("whpk_").unwrap()).unwrap();
        let by_pair = STANDARD.decode(entries[0].strip_prefix("v1a,").unwrap()).unwrap();
        let text = [format!("{ID}.1649367553.").as_bytes(), BODY].concat();
        UnparsedPublicKey::new(&ED25519, public)
            .verify(&text, &by_pair)
            .unwrap();
    }

    /// The first test vector of RFC 8032, section 7.1: seed and public key.
    #[test]
    fn a_private_key_is_its_seed_and_its_public_key() {
        let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
        let public = hex::decode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").unwrap();
        let text = format!("whsk_{}", STANDARD.encode([seed, public.clone()].concat()));
        assert_eq!(
            key(&text).public_key().unwrap(),
            format!("whpk_{}", STANDARD.encode(public))
        );
        assert_eq!(key(SECRET).public_key(), None);
    }

    #[test]
    fn an_id_may_not_make_the_signed_text_ambiguous() {
        let keys = [key(SECRET)];
        for id in ["", "msg.1", "msg 1", "msg\n1", "ä", &"a".repeat(256)] {
            assert_eq!(sign(&keys, id, AT, BODY), Err(SignError::InvalidId), "{id}");
        }
        assert_eq!(sign(&[], ID, AT, BODY), Err(SignError::NoKey));
    }

    #[test]
    fn an_error_says_what_a_key_must_be_and_does_not_quote_it() {
        let sized = |prefix: &str, bytes: usize| format!("{prefix}{}", STANDARD.encode(vec![7; bytes]));
        for (text, hint) in [
            ("geheim".to_owned(), "start with `whsec_`"),
            (sized("whpk_", 32), "starts with `whsk_`"),
            ("whsec_geheim!geheim".to_owned(), "after `whsec_` must be base64"),
            ("whsk_geheim!geheim".to_owned(), "after `whsk_` must be base64"),
            (sized("whsec_", 23), "24 to 64 bytes in base64 (got 23 bytes)"),
            (sized("whsec_", 65), "(got 65 bytes)"),
            (sized("whsk_", 32), "64 bytes in base64 (got 32 bytes)"),
            (sized("whsk_", 65), "(got 65 bytes)"),
            (sized("whsk_", 64), "public key of its first 32 bytes"),
        ] {
            let error = SigningKey::parse(&text.as_str().into()).unwrap_err();
            assert!(error.to_string().contains(hint), "{error}");
            assert!(!format!("{error} {error:?}").contains("geheim"), "{error}");
        }
    }

    #[test]
    fn debug_shows_only_the_kind_of_a_key() {
        assert_eq!(format!("{:?}", key(SECRET)), "SigningKey(whsec_…)");
        assert_eq!(
            format!("{:?}", key(generate_private_key().expose_secret())),
            "SigningKey(whsk_…)"
        );
    }

    proptest! {
        #[test]
        fn a_secret_of_an_allowed_length_is_read_with_and_without_padding(
            bytes in prop::collection::vec(any::<u8>(), 24..=64),
        ) {
            let text = format!("whsec_{}", STANDARD.encode(bytes));
            let padded = sign(&[key(&text)], ID, AT, BODY).unwrap();
            prop_assert_eq!(sign(&[key(text.trim_end_matches('='))], ID, AT, BODY).unwrap(), padded);
        }
    }
}
