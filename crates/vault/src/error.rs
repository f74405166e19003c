//! What can go wrong with keys and sealed values.

use std::path::PathBuf;

use crate::KeyId;

/// Why a key cannot be used or a value not opened. Holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A key that is not 32 bytes of base64.
    #[error(
        "an encryption key must be 32 bytes in base64 (44 characters, or 43 without the last =), as `openssl rand -base64 32` prints; {problem}"
    )]
    BadKey {
        /// What is wrong with it, without a word of it.
        problem: String,
    },
    /// Sealed with a key that is not in the key ring.
    #[error(
        "sealed with the encryption key {key_id}, which this process does not have: add that key as an older one"
    )]
    UnknownKey {
        /// The key that is needed.
        key_id: KeyId,
    },
    /// The content or the place it stands in is not the one that was sealed.
    #[error("a sealed value was changed, or stands in another row or field than it was sealed for")]
    Tampered,
    /// The text is no sealed value.
    #[error("not a sealed value of the form v1.KEY-ID.CONTENT")]
    Malformed,
    /// An API key that could be guessed or cannot stand in a header.
    #[error("an API key must be a UUID, or at least 32 letters, digits, _ or -")]
    BadApiKey,
    /// Other users can read the key file.
    #[error("other users can read the key file {path}: run `chmod 600 {path}`")]
    KeyFileOpen {
        /// The file.
        path: PathBuf,
    },
    /// There is no key file.
    #[error(
        "the key file {path} is missing: put it back from your backup, mount the volume that it is on, or give the keys in \
         TRUNKLINE_ENCRYPTION_KEY"
    )]
    KeyFileMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The key file holds no key.
    #[error(
        "the key file {path} is empty: put it back from your backup, or delete it if no database was used with it"
    )]
    KeyFileEmpty {
        /// The file.
        path: PathBuf,
    },
    /// The key file is not a file of keys.
    #[error("the key file {path} {problem}: put it back from your backup")]
    KeyFileInvalid {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        problem: &'static str,
    },
    /// A line of the key file is not a key.
    #[error("line {line} of the key file {path} is not a key: put the file back from your backup")]
    KeyFileLine {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with the line.
        source: Box<VaultError>,
    },
    /// The file system refused.
    #[error("cannot {doing} the key file {path}: {source}")]
    KeyFile {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}
