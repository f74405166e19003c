//! Rotation of encryption keys, lost keys, and sealing what older versions stored in clear.

mod clear_fields;
mod lost_keys;
mod rotation;

use crate::encryption_keys::CurrentKey;
use crate::error::Result;
use crate::gateway::Gateway;

pub(crate) use self::clear_fields::seal_clear_fields;
pub use self::lost_keys::{Forgotten, LostKeys};
pub use self::rotation::{Rotation, reseal};

/// Puts a new key into the key file, to seal with from now on. [`reseal`] follows.
///
/// If an earlier rotation was interrupted, its key stays the current one; so does the first of keys from configuration.
pub async fn rotate(gateway: &Gateway) -> Result<CurrentKey> {
    gateway.keys.rotate().await
}
