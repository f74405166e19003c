//! Keys that are too long for an index.

use std::borrow::Cow;
use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The most bytes of a key that is stored whole. PostgreSQL rejects index entries of more than about 2,700 bytes.
pub const MAX_KEY_BYTES: usize = 1_000;

/// Returns the key under which a record is stored: its own, or a shortened one if it has more than 1,000 bytes.
///
/// The shortened key is the beginning of the long one and its SHA-256 hash. It still has more than 1,000 bytes, so that it never equals
/// the key of another record.
pub fn stored_key(key: &str) -> Cow<'_, str> {
    if key.len() <= MAX_KEY_BYTES {
        return Cow::Borrowed(key);
    }
    let beginning = key
        .get(..key.floor_char_boundary(MAX_KEY_BYTES))
        .unwrap_or_default();
    let mut short = format!("{beginning}…");
    for byte in Sha256::digest(key.as_bytes()) {
        // Writing to a string cannot fail.
        let _ = write!(short, "{byte:02x}");
    }
    Cow::Owned(short)
}

/// Whether a stored key is shortened.
pub const fn is_shortened(stored_key: &str) -> bool {
    stored_key.len() > MAX_KEY_BYTES
}
