//! Trunkline's own API keys. A key is shown once as a [`SecretString`]; only its hash is stored.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::EnvironmentName;
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::digest::labelled_sha256;
use crate::error::VaultError;

/// Characters of the random part of a generated key: 32 bytes in base64.
const RANDOM: usize = 43;
/// The shortest key that an operator may choose.
const SHORTEST: usize = 32;
/// Characters of the random part that may be shown.
const SHOWN: usize = 4;

/// Returns a new key: `tl_<environment>_` and 43 random characters (256 bits).
pub fn generate(environment: &EnvironmentName) -> SecretString {
    let bytes = Zeroizing::new(rand::random::<[u8; 32]>());
    format!("tl_{environment}_{}", URL_SAFE_NO_PAD.encode(*bytes)).into()
}

/// Returns the start of a key, by which people tell keys apart: everything before the random part, and 4 characters of that part.
pub fn display_prefix(key: &str) -> String {
    let length = key.chars().count();
    let words = if key.starts_with("tl_") {
        length.saturating_sub(RANDOM)
    } else {
        0
    };
    key.chars().take(words + SHOWN.min(length / 4)).collect()
}

/// Checks a key that the operator chose: a UUID (which Nango's clients require), or at least 32 of `[A-Za-z0-9_-]`.
pub fn check(key: &str) -> Result<(), VaultError> {
    // A UUID has 36 of these characters, so one rule covers both.
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if key.len() >= SHORTEST && key.chars().all(allowed) {
        Ok(())
    } else {
        Err(VaultError::InvalidApiKey)
    }
}

/// Returns the hash that is stored of a key.
///
/// A fast hash is enough, because a key is long and random. A slow hash would only slow down every request.
pub fn hash(key: &str) -> String {
    labelled_sha256("trunkline api key v1", key.as_bytes())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_generated_key_names_its_environment_and_passes_the_check() {
        let environment: EnvironmentName = "dev".parse().unwrap();
        let key = generate(&environment);
        let text = key.expose_secret();
        assert!(text.starts_with("tl_dev_") && text.len() == 7 + RANDOM, "{text}");
        check(text).unwrap();
        assert_eq!(Some(display_prefix(text).as_str()), text.get(..7 + SHOWN));
        assert_ne!(text, generate(&environment).expose_secret());
    }

    #[test]
    fn a_chosen_key_must_be_long_and_plain() {
        check("5f2c7a0e-1111-4222-8333-444455556666").unwrap();
        let spaced = "5f2c7a0e-1111-4222-8333-44445555666 6";
        for bad in ["", "short", spaced, &"ä".repeat(36)] {
            assert!(check(bad).unwrap_err().to_string().contains("at least 32"));
        }
    }

    #[test]
    fn a_display_prefix_never_shows_more_than_a_quarter_of_the_random_part() {
        assert_eq!(display_prefix("5f2c7a0e-1111-4222-8333-444455556666"), "5f2c");
        assert_eq!(display_prefix("abcd"), "a");
        assert_eq!(display_prefix("tl_x"), "t");
        assert_eq!(display_prefix(""), "");
    }

    #[test]
    fn a_hash_is_stable_labelled_and_differs_by_key() {
        let expected = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(b"trunkline api key v1\0a"));
        assert_eq!(hash("a"), expected);
        assert_ne!(hash("a"), hash("b"));
    }
}
