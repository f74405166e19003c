//! Keys that are too long for an index.

use std::borrow::Cow;
use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Bytes of a key that both databases index. PostgreSQL refuses index entries of more than about 2,700 bytes.
pub const MAX_KEY_BYTES: usize = 1_000;

/// The key under which a record is stored: the record's own, or for one of more than 1,000 bytes a shorter one.
///
/// The shorter key is the beginning of the long one and its SHA-256 hash. It has more than 1,000 bytes itself, so that it never
/// equals the key of another record.
pub fn stored_key(key: &str) -> Cow<'_, str> {
    if key.len() <= MAX_KEY_BYTES {
        return Cow::Borrowed(key);
    }
    let beginning = key
        .get(..key.floor_char_boundary(MAX_KEY_BYTES))
        .unwrap_or_default();
    let mut short = format!("{beginning}…");
    for byte in Sha256::digest(key.as_bytes()) {
        // Writing to a text does not fail.
        let _ = write!(short, "{byte:02x}");
    }
    Cow::Owned(short)
}

/// Whether a stored key stands for a longer one.
pub const fn is_shortened(stored_key: &str) -> bool {
    stored_key.len() > MAX_KEY_BYTES
}
