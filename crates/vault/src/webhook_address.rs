//! The random part of a connection's webhook address. Its hash finds the connection; the part itself is stored sealed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::digest::labelled_sha256;

/// Returns a new random part: 43 characters (256 bits) that a path can hold as they are.
pub fn generate() -> SecretString {
    let bytes = Zeroizing::new(rand::random::<[u8; 32]>());
    URL_SAFE_NO_PAD.encode(*bytes).into()
}

/// Returns the hash that is stored of a random part. It is long and random, so a fast hash is enough.
pub fn hash(secret: &str) -> String {
    labelled_sha256("trunkline webhook address v1", secret.as_bytes())
}
