//! Secrets at rest: encryption of credentials, the key ring and its file, API keys and session tokens.
//!
//! The crate knows no database and no HTTP, and depends on `domain` alone. Invariants: everything that leaves it is either sealed
//! (encrypted and bound to its row) or a [`SecretString`]; no error and no `Debug` output shows more of a key than its public id.

pub mod api_key;
mod digest;
mod error;
mod key;
mod key_file;
mod key_id;
mod key_ring;
mod sealed;
pub mod session_token;
pub mod webhook_address;

pub use error::VaultError;
pub use key::EncryptionKey;
pub use key_file::KeyFile;
pub use key_id::KeyId;
pub use key_ring::KeyRing;
pub use sealed::{Owner, SealContext, Sealed};
pub use secrecy::{ExposeSecret, SecretString};
