//! Tokens of connect sessions. A token is shown once as a [`SecretString`]; only its hash is stored.

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::digest::labelled_sha256;

/// The prefix of every token, as in Nango's API.
const PREFIX: &str = "nango_connect_session_";
/// Hex digits after the prefix: 32 random bytes.
const DIGITS: usize = 64;

/// Returns a new token: `nango_connect_session_` and 64 hex digits (256 bits).
pub fn generate() -> SecretString {
    let bytes = Zeroizing::new(rand::random::<[u8; DIGITS / 2]>());
    format!("{PREFIX}{}", hex::encode(*bytes)).into()
}

/// Returns whether the text has the prefix of a token, so that it is not taken for an API key.
pub fn has_prefix(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Returns whether the text has the form of a token.
pub fn is_well_formed(text: &str) -> bool {
    text.strip_prefix(PREFIX).is_some_and(|digits| {
        digits.len() == DIGITS && digits.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
    })
}

/// Returns the hash that is stored of a token. A token is long and random, so a fast hash is enough.
pub fn hash(token: &str) -> String {
    labelled_sha256("trunkline connect session v1", token.as_bytes())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn generated_tokens_are_well_formed_and_differ() {
        let (token, other) = (generate(), generate());
        let (text, other) = (token.expose_secret(), other.expose_secret());
        assert!(is_well_formed(text) && has_prefix(text));
        assert_ne!(text, other);
        assert_ne!(hash(text), hash(other));
    }

    #[test]
    fn a_changed_token_is_not_well_formed() {
        let text = format!("{PREFIX}{}", "a".repeat(DIGITS));
        assert!(is_well_formed(&text));
        for bad in [
            format!("{text}a"),
            text.replace('a', "A"),
            text.replace("nango_", ""),
            PREFIX.to_owned(),
        ] {
            assert!(!is_well_formed(&bad), "{bad}");
        }
    }
}
