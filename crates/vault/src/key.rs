//! An encryption key.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use secrecy::SecretString;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::VaultError;
use crate::key_id::KeyId;

const LENGTH: usize = 32;

/// A key for XChaCha20-Poly1305: 32 random bytes, wiped from memory on drop.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct EncryptionKey([u8; LENGTH]);

impl EncryptionKey {
    /// Returns a new random key.
    pub fn generate() -> Self {
        Self(rand::random())
    }

    /// Reads a key from base64, standard or URL-safe, with or without padding. Surrounding white space is ignored.
    pub fn from_base64(text: &str) -> Result<Self, VaultError> {
        const LENIENT: GeneralPurposeConfig =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let standard = Zeroizing::new(text.trim().replace('-', "+").replace('_', "/"));
        let decoded = GeneralPurpose::new(&alphabet::STANDARD, LENIENT).decode(standard.as_bytes());
        // The decoder's own error quotes the invalid byte, so it is dropped.
        let decoded = decoded.map_err(|_| VaultError::InvalidKey("this text is not base64".to_owned()))?;
        let bytes = Zeroizing::new(decoded);
        let key = <[u8; LENGTH]>::try_from(bytes.as_slice()).map(Self);
        key.map_err(|_| VaultError::InvalidKey(format!("this text has {} bytes", bytes.len())))
    }

    /// Returns the key as text, for the key file.
    pub fn to_base64(&self) -> SecretString {
        STANDARD.encode(self.0).into()
    }

    /// Returns the key's public id.
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.0)
    }

    pub(crate) fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionKey({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    proptest! {
        #[test]
        fn a_key_is_read_from_every_form_of_base64(bytes: [u8; 32]) {
            let id = EncryptionKey(bytes).id();
            let standard = STANDARD.encode(bytes);
            for text in [
                standard.clone(), STANDARD_NO_PAD.encode(bytes), URL_SAFE.encode(bytes),
                URL_SAFE_NO_PAD.encode(bytes), format!(" {standard}\n"),
            ] {
                prop_assert_eq!(EncryptionKey::from_base64(&text).unwrap().id(), id.clone());
            }
            let written = EncryptionKey(bytes).to_base64();
            prop_assert_eq!(written.expose_secret(), standard.as_str());
        }
    }

    #[test]
    fn an_error_says_what_a_key_must_be_and_does_not_quote_the_wrong_one() {
        let short = EncryptionKey::from_base64("c2hvcnQ=").unwrap_err().to_string();
        assert!(
            short.contains("32 bytes in base64") && short.contains("has 5 bytes"),
            "{short}"
        );
        let garbled = EncryptionKey::from_base64("geheim!geheim").unwrap_err();
        assert!(!format!("{garbled} {garbled:?}").contains("geheim"));
    }

    #[test]
    fn debug_shows_only_the_id() {
        let key = EncryptionKey([7; 32]);
        assert_eq!(format!("{key:?}"), format!("EncryptionKey({})", key.id()));
        assert_eq!(KeyId::parse(key.id().as_str()), Some(key.id()));
        assert_eq!(KeyId::parse("ABCDEF01"), None);
    }
}
