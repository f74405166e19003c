//! API keys of this service: made, checked and hashed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::EnvironmentName;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::VaultError;

/// Characters of the random part of a key that we made: 32 bytes in base64.
const RANDOM: usize = 43;
/// The shortest key that an operator may choose.
const SHORTEST: usize = 32;
/// Characters of a random part that are shown.
const SHOWN: usize = 4;

/// Rules for the text of API keys. The text itself is a [`SecretString`], shown once and kept as a hash.
#[derive(Debug)]
pub struct ApiKeySecret;

impl ApiKeySecret {
    /// A new key, `tl_<environment>_` and 43 random characters (256 bits).
    pub fn generate(environment: &EnvironmentName) -> SecretString {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::fill(bytes.as_mut_slice());
        format!("tl_{environment}_{}", URL_SAFE_NO_PAD.encode(*bytes)).into()
    }

    /// The beginning of a key by which people tell their keys apart: the words before its random part and 4 characters of that.
    pub fn prefix_of(key: &str) -> String {
        let length = key.chars().count();
        let words = if key.starts_with("tl_") {
            length.saturating_sub(RANDOM)
        } else {
            0
        };
        key.chars().take(words + SHOWN.min(length / 4)).collect()
    }

    /// Whether a key that the operator chose will do: a UUID (which Nango's clients demand), or at least 32 of `[A-Za-z0-9_-]`.
    pub fn check_given(key: &str) -> Result<(), VaultError> {
        // A UUID has 36 such characters, so one rule covers both.
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if key.len() >= SHORTEST && key.chars().all(allowed) {
            Ok(())
        } else {
            Err(VaultError::BadApiKey)
        }
    }
}

/// What is stored of an API key: SHA-256 with a prefix of its own, in hex.
///
/// A plain hash is enough, for a key is random and long; a slow one would only slow every request.
pub fn hash_api_key(key: &str) -> String {
    hex::encode(
        Sha256::new()
            .chain_update(b"trunkline api key v1\0")
            .chain_update(key.as_bytes())
            .finalize(),
    )
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_made_key_names_its_environment_and_passes_the_rule() {
        let environment: EnvironmentName = "dev".parse().unwrap();
        let key = ApiKeySecret::generate(&environment);
        let text = key.expose_secret();
        assert!(text.starts_with("tl_dev_") && text.len() == 7 + RANDOM, "{text}");
        ApiKeySecret::check_given(text).unwrap();
        assert_eq!(
            Some(ApiKeySecret::prefix_of(text).as_str()),
            text.get(..7 + SHOWN)
        );
        assert_ne!(text, ApiKeySecret::generate(&environment).expose_secret());
    }

    #[test]
    fn a_given_key_is_long_and_plain() {
        ApiKeySecret::check_given("5f2c7a0e-1111-4222-8333-444455556666").unwrap();
        for bad in [
            "",
            "short",
            "5f2c7a0e-1111-4222-8333-44445555666 6",
            "ääääääääääääääääääääääääääääääääääää",
        ] {
            let error = ApiKeySecret::check_given(bad).unwrap_err();
            assert!(error.to_string().contains("at least 32"));
        }
    }

    #[test]
    fn a_prefix_never_shows_more_than_a_quarter_of_the_random_part() {
        assert_eq!(
            ApiKeySecret::prefix_of("5f2c7a0e-1111-4222-8333-444455556666"),
            "5f2c"
        );
        assert_eq!(ApiKeySecret::prefix_of("abcd"), "a");
        assert_eq!(ApiKeySecret::prefix_of("tl_x"), "t");
        assert_eq!(ApiKeySecret::prefix_of(""), "");
    }

    #[test]
    fn a_hash_is_stable_and_differs_by_key() {
        assert_eq!(hash_api_key("a").len(), 64);
        assert_eq!(hash_api_key("a"), hash_api_key("a"));
        assert_ne!(hash_api_key("a"), hash_api_key("b"));
        assert_ne!(hash_api_key("a"), hex::encode(Sha256::digest(b"a")));
    }
}
