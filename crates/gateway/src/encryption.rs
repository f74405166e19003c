//! Rotation of encryption keys, lost keys, and sealing what older versions stored in clear.

mod clear_fields;
mod lost_keys;
mod rotation;

use crate::encryption_keys::CurrentKey;
use crate::error::GatewayError;
use crate::services::Services;

pub use self::lost_keys::{Forgotten, LostKey, LostKeys};
pub use self::rotation::Rotation;

/// The use cases of encryption keys.
pub struct Encryption<'a>(pub(crate) &'a Services);

impl Encryption<'_> {
    /// Puts a new key into the key file, to seal with from now on. [`Encryption::reseal`] follows.
    ///
    /// If an earlier rotation was interrupted, its key stays the current one; so does the first of keys from configuration.
    pub async fn rotate(&self) -> Result<CurrentKey, GatewayError> {
        self.0.keys.rotate().await
    }
}
