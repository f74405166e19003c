//! A sealed value: encrypted text that opens only in the row and field that it was sealed for.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{ConnectionId, Endpoint, EnvironmentId, IntegrationId, RowId};

use crate::error::VaultError;
use crate::key_id::KeyId;

pub(crate) const NONCE: usize = 24;
const TAG: usize = 16;

/// The row that a sealed value belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A connection.
    Connection(ConnectionId),
    /// An integration.
    Integration(IntegrationId),
    /// A webhook endpoint.
    Endpoint(RowId<Endpoint>),
    /// The environment itself.
    Environment,
}

/// The row and field of a sealed value. The value opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealContext<'a> {
    /// The environment of the row.
    pub environment: EnvironmentId,
    /// The row.
    pub owner: Owner,
    /// The name of the secret within the row, such as `password`.
    pub field: &'a str,
}

impl SealContext<'_> {
    /// Returns the associated data of the encryption, which differs for any two contexts: each kind of row has its own prefix, numbers
    /// have a fixed width, and the only text of variable length is last.
    pub(crate) fn associated_data(&self, key_id: &KeyId) -> Vec<u8> {
        let (prefix, number) = match self.owner {
            Owner::Connection(id) => (b"trunkline sealed v1\0".as_slice(), id.raw()),
            Owner::Integration(id) => (b"trunkline sealed integration v1\0".as_slice(), id.raw()),
            Owner::Endpoint(number) => (b"trunkline sealed endpoint v1\0".as_slice(), number.raw()),
            Owner::Environment => (b"trunkline sealed environment v1\0".as_slice(), 0),
        };
        [
            prefix,
            key_id.as_str().as_bytes(),
            &self.environment.raw().to_be_bytes(),
            &number.to_be_bytes(),
            self.field.as_bytes(),
        ]
        .concat()
    }
}

/// A sealed value, written `v1.<key id>.<base64 of nonce and ciphertext>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    pub(crate) key_id: KeyId,
    pub(crate) nonce: [u8; NONCE],
    pub(crate) ciphertext: Vec<u8>,
}

impl Sealed {
    /// Returns the id of the key that opens the value.
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    fn parse(text: &str) -> Option<Self> {
        let (key_id, content) = text.strip_prefix("v1.")?.split_once('.')?;
        let content = URL_SAFE_NO_PAD.decode(content).ok()?;
        let (nonce, ciphertext) = content.split_first_chunk::<NONCE>()?;
        let (key_id, nonce, ciphertext) = (KeyId::parse(key_id)?, *nonce, ciphertext.to_vec());
        (ciphertext.len() >= TAG).then_some(Self {
            key_id,
            nonce,
            ciphertext,
        })
    }
}

impl FromStr for Sealed {
    type Err = VaultError;

    fn from_str(text: &str) -> Result<Self, VaultError> {
        Self::parse(text).ok_or(VaultError::Malformed)
    }
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = [self.nonce.as_slice(), &self.ciphertext].concat();
        write!(f, "v1.{}.{}", self.key_id, URL_SAFE_NO_PAD.encode(content))
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({})", self.key_id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn other_text_is_malformed(text in "(v1\\.)?[0-9a-f]{0,9}\\.?[A-Za-z0-9_=-]{0,50}") {
            prop_assert!(matches!(text.parse::<Sealed>(), Err(VaultError::Malformed)));
        }
    }
}
