//! Secrets at rest: sealing of credentials, the key ring and its file, and API keys.
//!
//! Knows no database and no HTTP; only `domain` stands below it. The invariant: what leaves this crate is either sealed and bound
//! to its row, or a `SecretString`, and no error or `Debug` of it shows more than a key's public id.

mod api_key;
mod error;
mod key;
mod key_file;
mod seal;
mod session_token;

pub use api_key::{ApiKeySecret, hash_api_key};
pub use error::VaultError;
pub use key::{KeyId, SecretKey};
pub use key_file::KeyFile;
pub use seal::{KeyRing, Owner, SealContext, Sealed};
pub use secrecy::{ExposeSecret, SecretString};
pub use session_token::SessionToken;
