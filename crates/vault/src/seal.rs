//! Sealing and opening of credentials.
//!
//! XChaCha20-Poly1305 with a random nonce of 24 bytes, so that no counter must be kept. The associated data names the place of
//! the value, so that a sealed value moved to another row or field does not open.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use domain::{ConnectionId, EnvironmentId, IntegrationId};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::{KeyId, SecretKey, VaultError};

const NONCE: usize = 24;
const TAG: usize = 16;
const CHECK: &str = "trunkline";

/// The row that a sealed value belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A connection.
    Connection(ConnectionId),
    /// An integration.
    Integration(IntegrationId),
}

/// Where a sealed value stands. It opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealContext<'a> {
    /// The environment of the row.
    pub environment: EnvironmentId,
    /// The row.
    pub owner: Owner,
    /// Which of the row's secrets, such as `password`.
    pub field: &'a str,
}

impl SealContext<'_> {
    /// Each kind of row has a prefix of its own, numbers have a fixed width and the one text stands last, so that no two places give
    /// the same bytes.
    fn associated_data(&self, key_id: &KeyId) -> Vec<u8> {
        let (prefix, number) = match self.owner {
            Owner::Connection(id) => (b"trunkline sealed v1\0".as_slice(), id.raw()),
            Owner::Integration(id) => (b"trunkline sealed integration v1\0".as_slice(), id.raw()),
        };
        let mut data = prefix.to_vec();
        data.extend_from_slice(key_id.as_str().as_bytes());
        data.extend_from_slice(&self.environment.raw().to_be_bytes());
        data.extend_from_slice(&number.to_be_bytes());
        data.extend_from_slice(self.field.as_bytes());
        data
    }
}

fn check_data(key_id: &KeyId) -> Vec<u8> {
    [b"trunkline check v1\0".as_slice(), key_id.as_str().as_bytes()].concat()
}

/// A sealed value, written `v1.<key id>.<base64 of nonce and ciphertext>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    key_id: KeyId,
    nonce: [u8; NONCE],
    ciphertext: Vec<u8>,
}

impl Sealed {
    /// The key that opens it.
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = [self.nonce.as_slice(), &self.ciphertext].concat();
        write!(f, "v1.{}.{}", self.key_id, URL_SAFE_NO_PAD.encode(content))
    }
}

impl FromStr for Sealed {
    type Err = VaultError;

    fn from_str(text: &str) -> Result<Self, VaultError> {
        let (key_id, content) = text
            .strip_prefix("v1.")
            .and_then(|rest| rest.split_once('.'))
            .ok_or(VaultError::Malformed)?;
        let content = URL_SAFE_NO_PAD
            .decode(content)
            .map_err(|_| VaultError::Malformed)?;
        let (nonce, ciphertext) = content
            .split_first_chunk::<NONCE>()
            .ok_or(VaultError::Malformed)?;
        if ciphertext.len() < TAG {
            return Err(VaultError::Malformed);
        }
        Ok(Self {
            key_id: key_id.parse()?,
            nonce: *nonce,
            ciphertext: ciphertext.to_vec(),
        })
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({})", self.key_id)
    }
}

/// The key that seals, and older ones that still open.
#[derive(Debug, Clone)]
pub struct KeyRing {
    current: SecretKey,
    older: Vec<SecretKey>,
}

impl KeyRing {
    /// A ring that seals with `current` and opens with any.
    pub fn new(current: SecretKey, older: Vec<SecretKey>) -> Self {
        Self { current, older }
    }

    /// The key that seals.
    pub fn current(&self) -> &SecretKey {
        &self.current
    }

    /// The keys that only open, newest first.
    pub fn older(&self) -> &[SecretKey] {
        &self.older
    }

    /// The ids of all keys, that of the current one first.
    pub fn ids(&self) -> Vec<KeyId> {
        self.keys().map(SecretKey::id).collect()
    }

    /// Adds the keys of `other` that this ring lacks, as the oldest.
    #[must_use]
    pub fn with_keys_of(mut self, other: &Self) -> Self {
        let known = self.ids();
        let lacking = other.keys().filter(|key| !known.contains(&key.id()));
        self.older.extend(lacking.cloned());
        self
    }

    fn keys(&self) -> impl Iterator<Item = &SecretKey> {
        std::iter::once(&self.current).chain(&self.older)
    }

    /// Seals `plain` for one place.
    pub fn seal(&self, context: &SealContext<'_>, plain: &SecretString) -> Sealed {
        let data = context.associated_data(&self.current.id());
        self.encrypt(&data, plain.expose_secret().as_bytes())
    }

    /// Opens what was sealed for this place.
    pub fn open(&self, context: &SealContext<'_>, sealed: &Sealed) -> Result<SecretString, VaultError> {
        self.decrypt(&context.associated_data(&sealed.key_id), sealed)
    }

    /// Seals anew with the current key; `None` if it already is.
    pub fn reseal(&self, context: &SealContext<'_>, sealed: &Sealed) -> Result<Option<Sealed>, VaultError> {
        if sealed.key_id == self.current.id() {
            return Ok(None);
        }
        let plain = self.open(context, sealed)?;
        Ok(Some(self.seal(context, &plain)))
    }

    /// A value to keep beside the data, by which [`KeyRing::verify_check`] tells whether this ring opens them.
    pub fn check_value(&self) -> Sealed {
        self.encrypt(&check_data(&self.current.id()), CHECK.as_bytes())
    }

    /// Whether this ring holds the key that `check` was made with. [`VaultError::UnknownKey`] names the key that is missing.
    pub fn verify_check(&self, check: &Sealed) -> Result<(), VaultError> {
        let plain = self.decrypt(&check_data(&check.key_id), check)?;
        if plain.expose_secret() == CHECK {
            Ok(())
        } else {
            Err(VaultError::Tampered)
        }
    }

    #[expect(
        clippy::expect_used,
        reason = "the cipher fails only beyond 256 GiB of plain text"
    )]
    fn encrypt(&self, associated_data: &[u8], plain: &[u8]) -> Sealed {
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce);
        let ciphertext = cipher(&self.current)
            .encrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: plain,
                    aad: associated_data,
                },
            )
            .expect("plain text of a sane length");
        Sealed {
            key_id: self.current.id(),
            nonce,
            ciphertext,
        }
    }

    fn decrypt(&self, associated_data: &[u8], sealed: &Sealed) -> Result<SecretString, VaultError> {
        let key =
            self.keys()
                .find(|key| key.id() == sealed.key_id)
                .ok_or_else(|| VaultError::UnknownKey {
                    key_id: sealed.key_id.clone(),
                })?;
        let plain = cipher(key)
            .decrypt(
                &XNonce::from(sealed.nonce),
                Payload {
                    msg: &sealed.ciphertext,
                    aad: associated_data,
                },
            )
            .map_err(|_| VaultError::Tampered)?;
        match String::from_utf8(plain) {
            Ok(text) => Ok(text.into()),
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                Err(VaultError::Tampered)
            }
        }
    }
}

fn cipher(key: &SecretKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(environment: i64, connection: i64, field: &str) -> SealContext<'_> {
        SealContext {
            environment: EnvironmentId::from_raw(environment),
            owner: Owner::Connection(ConnectionId::from_raw(connection)),
            field,
        }
    }

    fn ring() -> KeyRing {
        KeyRing::new(SecretKey::generate(), Vec::new())
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_in_its_place(text: String, env: i64, conn: i64, field in "[a-zA-Z_]{0,20}") {
            let ring = ring();
            let sealed = ring.seal(&place(env, conn, &field), &text.clone().into());
            let stored: Sealed = sealed.to_string().parse().unwrap();
            prop_assert_eq!(&stored, &sealed);
            let opened = ring.open(&place(env, conn, &field), &stored).unwrap();
            prop_assert_eq!(opened.expose_secret(), text.as_str());
        }

        #[test]
        fn any_flipped_bit_is_noticed(text in ".{0,40}", at: proptest::sample::Index, bit in 0..8_u32) {
            let ring = ring();
            let mut sealed = ring.seal(&place(1, 2, "password"), &text.into());
            let index = at.index(NONCE + sealed.ciphertext.len());
            let byte = if index < NONCE { &mut sealed.nonce[index] } else { &mut sealed.ciphertext[index - NONCE] };
            *byte ^= 1 << bit;
            prop_assert!(matches!(ring.open(&place(1, 2, "password"), &sealed), Err(VaultError::Tampered)));
        }

        #[test]
        fn in_any_other_place_it_does_not_open(env in 0..3_i64, conn in 0..3_i64, field in "a|b|ab|") {
            let ring = ring();
            let sealed = ring.seal(&place(1, 2, "a"), &"secret".into());
            let opened = ring.open(&place(env, conn, &field), &sealed);
            prop_assert_eq!(opened.is_ok(), (env, conn, field.as_str()) == (1, 2, "a"));
        }

        #[test]
        fn what_is_sealed_for_a_connection_opens_for_no_integration(env: i64, number: i64, field in "[a-z]{0,20}") {
            let (ring, connection) = (ring(), place(env, number, &field));
            let owner = Owner::Integration(IntegrationId::from_raw(number));
            let integration = SealContext { owner, ..connection };
            for (here, there) in [(&connection, &integration), (&integration, &connection)] {
                let sealed = ring.seal(here, &"secret".into());
                prop_assert!(ring.open(here, &sealed).is_ok());
                prop_assert!(matches!(ring.open(there, &sealed), Err(VaultError::Tampered)));
            }
        }

        #[test]
        fn text_that_is_no_sealed_value_is_malformed(text in "(v1\\.)?[0-9a-f]{0,9}\\.?[A-Za-z0-9_=-]{0,50}") {
            prop_assert!(matches!(text.parse::<Sealed>(), Err(VaultError::Malformed)));
        }
    }

    #[test]
    fn a_rotated_key_still_opens_old_values_and_seals_them_anew() {
        let (old, new) = (SecretKey::generate(), SecretKey::generate());
        let before = KeyRing::new(old.clone(), Vec::new());
        let after = KeyRing::new(new.clone(), vec![old.clone()]);
        let sealed = before.seal(&place(1, 2, "apiKey"), &"secret".into());

        assert_eq!(
            after
                .open(&place(1, 2, "apiKey"), &sealed)
                .unwrap()
                .expose_secret(),
            "secret"
        );
        let anew = after.reseal(&place(1, 2, "apiKey"), &sealed).unwrap().unwrap();
        assert_eq!(anew.key_id(), &new.id());
        assert_eq!(after.reseal(&place(1, 2, "apiKey"), &anew).unwrap(), None);
        match before.open(&place(1, 2, "apiKey"), &anew) {
            Err(VaultError::UnknownKey { key_id }) => assert_eq!(key_id, new.id()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_value_under_another_keys_id_does_not_open() {
        let (old, new) = (SecretKey::generate(), SecretKey::generate());
        let ring = KeyRing::new(new.clone(), vec![old.clone()]);
        let mut sealed = ring.seal(&place(1, 2, "apiKey"), &"secret".into());
        sealed.key_id = old.id();
        assert!(matches!(
            ring.open(&place(1, 2, "apiKey"), &sealed),
            Err(VaultError::Tampered)
        ));
    }

    #[test]
    fn the_check_value_tells_the_right_key_from_another() {
        let ring = ring();
        let check: Sealed = ring.check_value().to_string().parse().unwrap();
        ring.verify_check(&check).unwrap();
        let error = self::ring().verify_check(&check).unwrap_err();
        assert!(
            error.to_string().contains(ring.current().id().as_str()),
            "{error}"
        );
        let credential = ring.seal(&place(0, 0, ""), &CHECK.into());
        assert!(matches!(
            ring.verify_check(&credential),
            Err(VaultError::Tampered)
        ));
    }

    #[test]
    fn debug_shows_neither_content_nor_key() {
        let ring = ring();
        let sealed = ring.seal(&place(1, 2, "apiKey"), &"secret".into());
        assert_eq!(format!("{sealed:?}"), format!("Sealed({})", ring.current().id()));
        assert_eq!(
            format!("{ring:?}"),
            format!(
                "KeyRing {{ current: SecretKey({}), older: [] }}",
                ring.current().id()
            )
        );
    }
}
