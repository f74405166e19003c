//! The key ring, which seals and opens values.
//!
//! The cipher is XChaCha20-Poly1305 with a random nonce of 24 bytes, so no counter is needed. The associated data names the row and
//! the field of the value, so a sealed value that is moved elsewhere does not open.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::error::VaultError;
use crate::key::EncryptionKey;
use crate::key_id::KeyId;
use crate::sealed::{NONCE, SealContext, Sealed};

/// The key that seals, and older keys that only open.
#[derive(Debug, Clone)]
pub struct KeyRing {
    current: EncryptionKey,
    older: Vec<EncryptionKey>,
}

impl KeyRing {
    /// Creates a ring that seals with `current` and opens with any of its keys. `older` is newest first.
    pub fn new(current: EncryptionKey, older: Vec<EncryptionKey>) -> Self {
        Self { current, older }
    }

    /// Returns the key that seals.
    pub fn current(&self) -> &EncryptionKey {
        &self.current
    }

    /// Returns the ids of all keys, the current one first.
    pub fn ids(&self) -> Vec<KeyId> {
        self.keys().map(EncryptionKey::id).collect()
    }

    /// Returns all keys, the current one first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &EncryptionKey> {
        std::iter::once(&self.current).chain(&self.older)
    }

    /// Adds the keys of `other` that this ring lacks, as the oldest.
    #[must_use]
    pub fn with_keys_of(mut self, other: &Self) -> Self {
        let known = self.ids();
        let missing = other.keys().filter(|key| !known.contains(&key.id()));
        self.older.extend(missing.cloned());
        self
    }

    /// Seals `plain` for one row and field.
    pub fn seal(&self, context: &SealContext<'_>, plain: &SecretString) -> Sealed {
        let data = context.associated_data(&self.current.id());
        self.encrypt(&data, plain.expose_secret().as_bytes())
    }

    /// Opens a value that was sealed for this row and field.
    pub fn open(&self, context: &SealContext<'_>, sealed: &Sealed) -> Result<SecretString, VaultError> {
        self.decrypt(&context.associated_data(&sealed.key_id), sealed)
    }

    /// Seals a value again, with the current key. Returns `None` if the current key sealed it.
    pub fn reseal(&self, context: &SealContext<'_>, sealed: &Sealed) -> Result<Option<Sealed>, VaultError> {
        if sealed.key_id == self.current.id() {
            return Ok(None);
        }
        let plain = self.open(context, sealed)?;
        Ok(Some(self.seal(context, &plain)))
    }

    /// Returns a value to store beside the data. [`KeyRing::verify_check`] uses it to tell whether a ring can open the data.
    pub fn check_value(&self) -> Sealed {
        self.encrypt(&check_data(&self.current.id()), b"trunkline")
    }

    /// Checks that this ring holds the key that made `check`. [`VaultError::UnknownKey`] names the missing key.
    pub fn verify_check(&self, check: &Sealed) -> Result<(), VaultError> {
        self.decrypt(&check_data(&check.key_id), check).map(drop)
    }

    #[expect(
        clippy::expect_used,
        reason = "the cipher fails only beyond 256 GiB of plain text"
    )]
    fn encrypt(&self, associated_data: &[u8], plain: &[u8]) -> Sealed {
        let nonce: [u8; NONCE] = rand::random();
        let payload = Payload {
            msg: plain,
            aad: associated_data,
        };
        let ciphertext = cipher(&self.current)
            .encrypt(&XNonce::from(nonce), payload)
            .expect("plain text of a sane length");
        Sealed {
            key_id: self.current.id(),
            nonce,
            ciphertext,
        }
    }

    fn decrypt(&self, associated_data: &[u8], sealed: &Sealed) -> Result<SecretString, VaultError> {
        let unknown = || VaultError::UnknownKey(sealed.key_id.clone());
        let key = self.keys().find(|key| key.id() == sealed.key_id);
        let key = key.ok_or_else(unknown)?;
        let payload = Payload {
            msg: &sealed.ciphertext,
            aad: associated_data,
        };
        let plain = cipher(key)
            .decrypt(&XNonce::from(sealed.nonce), payload)
            .map_err(|_| VaultError::Tampered)?;
        String::from_utf8(plain).map(SecretString::from).map_err(|error| {
            drop(Zeroizing::new(error.into_bytes()));
            VaultError::Tampered
        })
    }
}

fn check_data(key_id: &KeyId) -> Vec<u8> {
    [b"trunkline check v1\0".as_slice(), key_id.as_str().as_bytes()].concat()
}

fn cipher(key: &EncryptionKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

#[cfg(test)]
mod tests {
    use domain::{ConnectionId, EnvironmentId, IntegrationId};
    use proptest::prelude::*;

    use super::*;
    use crate::sealed::Owner;

    fn context(environment: i64, connection: i64, field: &str) -> SealContext<'_> {
        SealContext {
            environment: EnvironmentId::from_raw(environment),
            owner: Owner::Connection(ConnectionId::from_raw(connection)),
            field,
        }
    }

    fn ring() -> KeyRing {
        KeyRing::new(EncryptionKey::generate(), Vec::new())
    }

    proptest! {
        #[test]
        fn a_sealed_value_opens_in_its_row_and_field(text: String, env: i64, conn: i64, field in "[a-zA-Z_]{0,20}") {
            let ring = ring();
            let sealed = ring.seal(&context(env, conn, &field), &text.clone().into());
            let stored: Sealed = sealed.to_string().parse().unwrap();
            prop_assert_eq!(&stored, &sealed);
            let opened = ring.open(&context(env, conn, &field), &stored).unwrap();
            prop_assert_eq!(opened.expose_secret(), text.as_str());
        }

        #[test]
        fn any_flipped_bit_is_detected(text in ".{0,40}", at: proptest::sample::Index, bit in 0..8_u32) {
            let ring = ring();
            let mut sealed = ring.seal(&context(1, 2, "password"), &text.into());
            let index = at.index(NONCE + sealed.ciphertext.len());
            let byte = if index < NONCE { &mut sealed.nonce[index] } else { &mut sealed.ciphertext[index - NONCE] };
            *byte ^= 1 << bit;
            prop_assert!(matches!(ring.open(&context(1, 2, "password"), &sealed), Err(VaultError::Tampered)));
        }

        #[test]
        fn a_value_opens_in_no_other_row_or_field(env in 0..3_i64, conn in 0..3_i64, field in "a|b|ab|") {
            let ring = ring();
            let sealed = ring.seal(&context(1, 2, "a"), &"secret".into());
            let opened = ring.open(&context(env, conn, &field), &sealed);
            prop_assert_eq!(opened.is_ok(), (env, conn, field.as_str()) == (1, 2, "a"));
        }

        #[test]
        fn a_value_of_a_connection_does_not_open_for_an_integration_and_vice_versa(env: i64, number: i64, field in "[a-z]{0,20}") {
            let (ring, connection) = (ring(), context(env, number, &field));
            let owner = Owner::Integration(IntegrationId::from_raw(number));
            let integration = SealContext { owner, ..connection };
            for (here, there) in [(&connection, &integration), (&integration, &connection)] {
                let sealed = ring.seal(here, &"secret".into());
                prop_assert!(ring.open(here, &sealed).is_ok());
                prop_assert!(matches!(ring.open(there, &sealed), Err(VaultError::Tampered)));
            }
        }
    }

    #[test]
    fn a_rotated_key_still_opens_old_values_and_seals_them_again() {
        let (old, new) = (EncryptionKey::generate(), EncryptionKey::generate());
        let before = KeyRing::new(old.clone(), Vec::new());
        let after = KeyRing::new(new.clone(), vec![old]);
        let context = context(1, 2, "apiKey");
        let sealed = before.seal(&context, &"secret".into());

        let opened = after.open(&context, &sealed).unwrap();
        assert_eq!(opened.expose_secret(), "secret");
        let resealed = after.reseal(&context, &sealed).unwrap().unwrap();
        assert_eq!(resealed.key_id(), &new.id());
        assert_eq!(after.reseal(&context, &resealed).unwrap(), None);
        match before.open(&context, &resealed) {
            Err(VaultError::UnknownKey(missing)) => assert_eq!(missing, new.id()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_value_with_the_id_of_another_key_does_not_open() {
        let (old, new) = (EncryptionKey::generate(), EncryptionKey::generate());
        let ring = KeyRing::new(new, vec![old.clone()]);
        let context = context(1, 2, "apiKey");
        let mut sealed = ring.seal(&context, &"secret".into());
        sealed.key_id = old.id();
        assert!(matches!(ring.open(&context, &sealed), Err(VaultError::Tampered)));
    }

    #[test]
    fn the_check_value_detects_a_wrong_key() {
        let ring = ring();
        let check: Sealed = ring.check_value().to_string().parse().unwrap();
        ring.verify_check(&check).unwrap();
        let error = self::ring().verify_check(&check).unwrap_err().to_string();
        assert!(error.contains(ring.current().id().as_str()), "{error}");
        let credential = ring.seal(&context(0, 0, ""), &"trunkline".into());
        let result = ring.verify_check(&credential);
        assert!(matches!(result, Err(VaultError::Tampered)));
    }

    #[test]
    fn debug_shows_neither_content_nor_key() {
        let ring = ring();
        let id = ring.current().id();
        let sealed = ring.seal(&context(1, 2, "apiKey"), &"secret".into());
        assert_eq!(format!("{sealed:?}"), format!("Sealed({id})"));
        let expected = format!("KeyRing {{ current: EncryptionKey({id}), older: [] }}");
        assert_eq!(format!("{ring:?}"), expected);
    }
}
