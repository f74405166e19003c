//! Tokens of connect sessions: made, recognised and hashed.

use secrecy::SecretString;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What every token begins with, as in Nango's API.
const PREFIX: &str = "nango_connect_session_";
/// Hex digits behind it: 32 random bytes.
const DIGITS: usize = 64;

/// Rules for the text of the tokens of connect sessions. The text itself is a [`SecretString`], shown once and kept as a hash.
#[derive(Debug)]
pub struct SessionToken;

impl SessionToken {
    /// A new token, `nango_connect_session_` and 64 hex digits (256 bits).
    pub fn generate() -> SecretString {
        let mut bytes = Zeroizing::new([0; DIGITS / 2]);
        rand::fill(bytes.as_mut_slice());
        format!("{PREFIX}{}", hex::encode(*bytes)).into()
    }

    /// Whether the text is meant as a token, well-formed or not.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Whether the text has the form of a token.
    pub fn is_well_formed(text: &str) -> bool {
        text.strip_prefix(PREFIX).is_some_and(|digits| {
            digits.len() == DIGITS && digits.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
        })
    }

    /// What is stored of a token: SHA-256 with a prefix of its own, in hex. A token is random and long, so a plain hash is enough.
    pub fn hash(token: &str) -> String {
        hex::encode(
            Sha256::new()
                .chain_update(b"trunkline connect session v1\0")
                .chain_update(token.as_bytes())
                .finalize(),
        )
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_made_token_is_well_formed_and_no_other_is_the_same() {
        let token = SessionToken::generate();
        let text = token.expose_secret();
        assert!(SessionToken::is_well_formed(text) && SessionToken::is_meant(text));
        assert_ne!(text, SessionToken::generate().expose_secret());
        assert_ne!(
            SessionToken::hash(text),
            SessionToken::hash(SessionToken::generate().expose_secret())
        );
    }

    #[test]
    fn what_is_cut_or_written_otherwise_is_not_well_formed() {
        let text = format!("{PREFIX}{}", "a".repeat(DIGITS));
        assert!(SessionToken::is_well_formed(&text));
        for bad in [
            format!("{text}a"),
            text.replace('a', "A"),
            text.replace("nango_", ""),
            PREFIX.to_owned(),
        ] {
            assert!(!SessionToken::is_well_formed(&bad), "{bad}");
        }
    }
}
