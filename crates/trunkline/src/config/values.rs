//! Deserializers of single values.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};
use url::Url;

use super::address::{gateway_url, http_url, web_url};

/// A whole number from `LEAST` to `MOST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Within<const LEAST: u64, const MOST: u64>(u64);

impl<const LEAST: u64, const MOST: u64> Within<LEAST, MOST> {
    pub(crate) fn get(self) -> u64 {
        self.0
    }
}

impl<'de, const LEAST: u64, const MOST: u64> Deserialize<'de> for Within<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        if (LEAST..=MOST).contains(&number) {
            Ok(Self(number))
        } else {
            let message = format!("must be between {LEAST} and {MOST} (got {number})");
            Err(de::Error::custom(message))
        }
    }
}

/// Deserializes a type that is parsed from text.
pub(super) fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    deserializer: D,
) -> Result<T, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(de::Error::custom)
}

/// Deserializes an optional value of a type that is parsed from text.
pub(super) fn parsed_if_given<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(de::Error::custom))
        .transpose()
}

/// Deserializes an optional address of http or https.
pub(super) fn web_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    optional(deserializer, web_url)
}

/// Deserializes an optional address of a gateway.
pub(super) fn gateway<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    optional(deserializer, gateway_url)
}

fn optional<'de, D: Deserializer<'de>>(
    deserializer: D,
    parse: fn(&str) -> Result<Url, String>,
) -> Result<Option<Url>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| parse(&text).map_err(de::Error::custom))
        .transpose()
}

/// Deserializes origins of http or https that are separated by commas.
pub(super) fn origins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Url>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
    let parsed = origins.map(|origin| {
        http_url(origin).ok_or_else(|| {
            de::Error::custom(format!(
                "{origin:?} is not an origin: write https://HOST, and commas between several"
            ))
        })
    });
    parsed.collect()
}
