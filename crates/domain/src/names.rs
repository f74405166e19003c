//! Names that people choose, each with its rule.
//!
//! Connection, integration, provider, sync and model names may have the characters and lengths of Nango's API, so that ids accepted there
//! are accepted here. The exception: a new name must not begin or end with a space.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

/// A name violates a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The rule of its type.
    #[error("must be {0}")]
    Rule(&'static str),
    /// The rule of [`check_new_name`], so that different names look different.
    #[error(
        "must not begin or end with white space or an invisible character, and must hold no control characters"
    )]
    Invisible,
}

/// Checks that a new name has no control characters, and neither begins nor ends with an invisible character.
///
/// Labels and user ids follow the same rule. Names that were stored before this rule existed stay valid.
pub fn check_new_name(text: &str) -> Result<(), NameError> {
    let edges = [text.chars().next(), text.chars().next_back()];
    if edges.into_iter().flatten().any(is_invisible) || text.contains(char::is_control) {
        Err(NameError::Invisible)
    } else {
        Ok(())
    }
}

/// Whether a character is invisible: white space, controls, most of what Unicode calls ignorable, and others that show nothing. Those that
/// may end an emoji are excluded.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}')
}

/// Whether a character is a letter a-z or A-Z, a digit, `_` or `-`.
fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        name!(
            $(#[$doc])*
            $name, 255, "1 to 255 letters (a-z and A-Z), digits, _ or -",
            |text| text.chars().all(is_word_char)
        );
    };
    ($(#[$doc:meta])* $name:ident, $max:literal, $rule:literal, |$text:ident| $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $name(String);

        impl $name {
            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Checks and returns a new name, also with [`check_new_name`]. `parse` skips this check, so that older stored names stay valid.
            pub fn new(text: &str) -> Result<Self, NameError> {
                let name = text.parse()?;
                check_new_name(text)?;
                Ok(name)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str($text: &str) -> Result<Self, NameError> {
                if !$text.is_empty() && $text.len() <= $max && $valid {
                    Ok(Self($text.to_owned()))
                } else {
                    Err(NameError::Rule($rule))
                }
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

name!(
    /// The name of an environment, such as `dev`: the tenant that everything belongs to.
    EnvironmentName, 64, "1 to 64 lower-case letters, digits, _ or -",
    |text| text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
);
name!(
    /// An app's name for a connection; unique within an integration of an environment.
    ConnectionName, 255, "1 to 255 letters (a-z and A-Z), digits, spaces or any of ,.;:=+~[]|@${}\"'\\/_-",
    |text| text.chars().all(|c| is_word_char(c) || " ,.;:=+~[]|@${}\"'\\/".contains(c))
);

impl ConnectionName {
    /// Returns a random name, a UUID.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }
}

name!(
    /// An integration's key, `provider_config_key` on the wire.
    IntegrationKey, 255, "1 to 255 letters (a-z and A-Z), digits, spaces or any of ~:.@_-",
    |text| text.chars().all(|c| is_word_char(c) || " ~:.@".contains(c))
);
name!(
    /// The name of a provider, which is that of its file.
    ProviderName
);
name!(
    /// The name of a sync of a provider, such as `twilio-messages`.
    SyncName
);
name!(
    /// The name of an action of a provider, such as `send-message`.
    ActionName
);
name!(
    /// The name of a variant of a sync. Every sync of a connection has the variant `base`.
    Variant
);
name!(
    /// The name of a model, such as `Message`.
    ModelName, 255, "an upper-case letter, then letters, digits, _ or -, 255 at most",
    |text| text.chars().all(is_word_char) && text.starts_with(|c: char| c.is_ascii_uppercase())
);
name!(
    /// The name of a table or column of a model. It needs no quotes in SQL unless it is a reserved word.
    TableName, 48, "a lower-case letter, then lower-case letters, digits or _, 48 at most",
    |text| text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
);

impl Variant {
    /// Returns `base`.
    pub fn base() -> Self {
        Self("base".to_owned())
    }
}

impl TableName {
    /// The most bytes of a name. An index's name has nine more, and PostgreSQL allows 63.
    const MAX: usize = 48;

    /// Returns the table of a variant's rows, `TABLE__VARIANT`.
    ///
    /// If that is not a valid name, it is changed to lower case, `_` replaces `-`, it is shortened if it is too long, and it ends with a
    /// hash. The hash of the full name has 32 bits, so two variants are very unlikely to share a table.
    #[must_use]
    pub fn variant_table_name(&self, variant: &Variant) -> Self {
        let wanted = format!("{self}__{variant}");
        if let Ok(name) = wanted.parse() {
            return name;
        }
        let hash = xxhash_rust::xxh3::xxh3_64(wanted.as_bytes()) & 0xffff_ffff;
        let plain = wanted.to_ascii_lowercase().replace('-', "_");
        let kept: String = plain.chars().take(Self::MAX - 9).collect();
        Self(format!("{kept}_{hash:08x}"))
    }
}

impl From<&ProviderName> for IntegrationKey {
    /// Returns the key of the integration that every provider has by default.
    fn from(provider: &ProviderName) -> Self {
        Self(provider.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_name_allows_what_nango_allows() {
        assert!("user/42 [x]@{a}$+~|\"'\\".parse::<ConnectionName>().is_ok());
        assert!("".parse::<ConnectionName>().is_err());
        assert!("a\nb".parse::<ConnectionName>().is_err());
        assert!("é".parse::<ConnectionName>().is_err());
        assert!("x".repeat(256).parse::<ConnectionName>().is_err());
    }

    #[test]
    fn a_new_name_has_no_invisible_characters_at_its_ends_and_an_old_one_is_still_read() {
        for name in [" bob", "bob ", " ", "  bob  "] {
            assert_eq!(ConnectionName::new(name), Err(NameError::Invisible), "{name:?}");
            assert!(name.parse::<ConnectionName>().is_ok());
            assert_eq!(IntegrationKey::new(name), Err(NameError::Invisible));
        }
        for edge in [
            "\t", "\n", "\u{a0}", "\u{2003}", "\u{3000}", "\u{200b}", "\u{feff}", "\u{85}", "\u{2028}",
        ] {
            assert!(check_new_name(&format!("{edge}bob")).is_err(), "{edge:?}");
            assert!(check_new_name(&format!("bob{edge}")).is_err(), "{edge:?}");
        }
        assert!(check_new_name("b\u{0}b").is_err() && check_new_name("b\rb").is_err());
        for good in ["bob", "b o b", "Ærø", "\u{2764}\u{fe0f}", "نمی\u{200c}خواهم", ""] {
            assert!(check_new_name(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn each_variant_has_its_own_table_with_a_valid_name() {
        let table: TableName = "acme_orders".parse().unwrap();
        let of = |variant: &str| table.variant_table_name(&variant.parse().unwrap());
        assert_eq!(of("eu").as_str(), "acme_orders__eu");
        let long = "v".repeat(255);
        let shorter = "v".repeat(254);
        let odd = ["a-b", "a_b", "A_B", "A-b", &long, &shorter];
        let mut names: Vec<_> = odd.iter().map(|variant| of(variant)).collect();
        for name in &names {
            assert_eq!(name.as_str().parse::<TableName>().as_ref(), Ok(name));
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), odd.len(), "{names:?}");
    }

    #[test]
    fn a_model_begins_with_a_capital_and_a_table_does_not() {
        assert!("Message".parse::<ModelName>().is_ok());
        assert!("message".parse::<ModelName>().is_err());
        assert!("twilio_messages".parse::<TableName>().is_ok());
        assert!("_x".parse::<TableName>().is_err());
        assert!("a;b".parse::<TableName>().is_err());
    }
}
