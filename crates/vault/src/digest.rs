//! The hash of everything that this crate stores as a hash.

use sha2::{Digest, Sha256};

/// Returns SHA-256 of `label`, a zero byte and `secret`, in hex. Each use has its own label, so that no two uses share a hash.
pub(crate) fn labelled_sha256(label: &str, secret: &[u8]) -> String {
    let hash = Sha256::new().chain_update(label).chain_update(b"\0");
    hex::encode(hash.chain_update(secret).finalize())
}
