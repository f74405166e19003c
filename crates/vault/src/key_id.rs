//! The public id of an encryption key.

use std::fmt;

use crate::digest::labelled_sha256;

const LENGTH: usize = 8;

/// Identifies an encryption key without revealing it: 8 hex digits of a hash of the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyId(String);

impl KeyId {
    pub(crate) fn of(key: &[u8]) -> Self {
        let hash = labelled_sha256("trunkline key id v1", key);
        Self(hash.chars().take(LENGTH).collect())
    }

    /// Returns `None` unless `text` is 8 lowercase hex digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_hex = text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
        (text.len() == LENGTH && is_hex).then(|| Self(text.to_owned()))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
