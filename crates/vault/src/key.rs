//! An encryption key and its public id.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::VaultError;

const LENGTH: usize = 32;

/// A key of XChaCha20-Poly1305: 32 random bytes, wiped from memory when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; LENGTH]);

impl SecretKey {
    /// A new random key.
    pub fn generate() -> Self {
        let mut bytes = [0; LENGTH];
        rand::fill(&mut bytes);
        Self(bytes)
    }

    /// From base64, standard or url-safe, with or without padding; white space around it is ignored.
    pub fn from_base64(text: &str) -> Result<Self, VaultError> {
        const LENIENT: GeneralPurposeConfig =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let standard = Zeroizing::new(text.trim().replace('-', "+").replace('_', "/"));
        let decoded = GeneralPurpose::new(&alphabet::STANDARD, LENIENT).decode(standard.as_bytes());
        // The decoder's own error names the offending byte, so it is not passed on.
        let bytes = Zeroizing::new(decoded.map_err(|_| VaultError::BadKey {
            problem: "what is given is not base64".to_owned(),
        })?);
        let fixed = <[u8; LENGTH]>::try_from(bytes.as_slice()).map_err(|_| VaultError::BadKey {
            problem: format!("what is given has {} bytes", bytes.len()),
        })?;
        Ok(Self(fixed))
    }

    /// The key as text, for the key file.
    pub fn to_base64(&self) -> SecretString {
        STANDARD.encode(self.0).into()
    }

    /// The key's public name.
    pub fn id(&self) -> KeyId {
        let digest = Sha256::new()
            .chain_update(b"trunkline key id v1\0")
            .chain_update(self.0)
            .finalize();
        KeyId(hex::encode(digest.iter().take(4).copied().collect::<Vec<u8>>()))
    }

    pub(crate) fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }
}

impl FromStr for SecretKey {
    type Err = VaultError;

    fn from_str(text: &str) -> Result<Self, VaultError> {
        Self::from_base64(text)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.id())
    }
}

/// Names a key without telling it: 8 hex digits of a hash of the key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = VaultError;

    fn from_str(text: &str) -> Result<Self, VaultError> {
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if text.len() == 8 && text.chars().all(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(VaultError::Malformed)
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
            let id = SecretKey(bytes).id();
            let standard = STANDARD.encode(bytes);
            for text in [
                standard.clone(), STANDARD_NO_PAD.encode(bytes), URL_SAFE.encode(bytes),
                URL_SAFE_NO_PAD.encode(bytes), format!(" {standard}\n"),
            ] {
                prop_assert_eq!(SecretKey::from_base64(&text).unwrap().id(), id.clone());
            }
            let written = SecretKey(bytes).to_base64();
            prop_assert_eq!(written.expose_secret(), standard.as_str());
        }
    }

    #[test]
    fn a_wrong_key_is_refused_with_what_is_right_and_without_an_echo() {
        let short = SecretKey::from_base64("c2hvcnQ=").unwrap_err().to_string();
        assert!(
            short.contains("32 bytes in base64") && short.contains("has 5 bytes"),
            "{short}"
        );
        let garbled = SecretKey::from_base64("geheim!geheim").unwrap_err();
        assert!(!format!("{garbled} {garbled:?}").contains("geheim"));
    }

    #[test]
    fn debug_shows_only_the_id() {
        let key = SecretKey([7; 32]);
        assert_eq!(format!("{key:?}"), format!("SecretKey({})", key.id()));
        assert_eq!(key.id().to_string().parse::<KeyId>().unwrap(), key.id());
        assert!("ABCDEF01".parse::<KeyId>().is_err());
    }
}
