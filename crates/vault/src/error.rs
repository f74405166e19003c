//! Errors of keys and sealed values.

use std::path::PathBuf;

use crate::key_id::KeyId;

/// Why a key cannot be used, or why a sealed value cannot be opened. Holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// An encryption key is not 32 bytes of base64; the text says what it is instead, and does not quote it.
    #[error(
        "an encryption key must be 32 bytes in base64 (44 characters, or 43 without the last =), as `openssl rand -base64 32` prints; {0}"
    )]
    InvalidKey(String),
    /// The value was sealed with this key, which is not in the key ring.
    #[error(
        "the value is sealed with the encryption key {0}, which this process does not have: add that key as an older one"
    )]
    UnknownKey(KeyId),
    /// The content, the row or the field differs from what was sealed.
    #[error("a sealed value was changed, or was moved from the row or field that it was sealed for")]
    Tampered,
    /// The text is not a sealed value.
    #[error("not a sealed value of the form v1.KEY-ID.CONTENT")]
    Malformed,
    /// An API key is too short, or has characters that cannot be sent in a header.
    #[error("an API key must be a UUID, or at least 32 letters, digits, _ or -")]
    InvalidApiKey,
    /// Other users can read the key file at this path.
    #[error("other users can read the key file {0}: run `chmod 600 {0}`")]
    KeyFileNotPrivate(PathBuf),
    /// There is no key file at this path.
    #[error(
        "the key file {0} is missing: restore it from your backup, mount the volume that holds it, or set the keys in \
         TRUNKLINE_ENCRYPTION_KEY"
    )]
    KeyFileMissing(PathBuf),
    /// The key file holds no keys, or something else.
    #[error(
        "the key file {path} {problem}: restore it from your backup, or delete it if no database was ever used with it"
    )]
    KeyFileInvalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with the file, such as `is empty`.
        problem: String,
    },
    /// The operating system refused to read or write the key file.
    #[error("cannot {action} the key file {path}: {source}")]
    KeyFileIo {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
}
