//! What a field of a provider's record holds, and how it becomes the value of its column.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

use super::Value;
use super::dates::{iso8601, rfc2822, storable};
use crate::{Column, ColumnKind, Parse, Timestamp};

/// PostgreSQL stores U+0000 neither in text nor in jsonb.
pub(super) fn without_nul(text: String, nul: &str, replacement: &str) -> String {
    if text.contains(nul) {
        text.replace(nul, replacement)
    } else {
        text
    }
}

/// Text borrowed from the page where it holds no escapes.
pub(super) struct TextSeed;

impl<'de> DeserializeSeed<'de> for TextSeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for TextSeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text))
    }
}

/// What a field holds, before its column is considered.
pub(super) enum Cell<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    /// Above `i64::MAX`, or with a fraction.
    Number(serde_json::Number),
    Text(Cow<'a, str>),
    Json(Json),
}

impl From<Json> for Cell<'_> {
    fn from(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => number.as_i64().map_or(Self::Number(number), Self::Integer),
            Json::String(text) => Self::Text(Cow::Owned(text)),
            other => Self::Json(other),
        }
    }
}

pub(super) struct CellSeed;

impl<'de> DeserializeSeed<'de> for CellSeed {
    type Value = Cell<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CellSeed {
    type Value = Cell<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Cell::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Cell::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Cell::Integer(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or_else(|_| Cell::Number(value.into()), Cell::Integer))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(serde_json::Number::from_f64(value).map_or(Cell::Null, Cell::Number))
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cell::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cell::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Cell::Text(Cow::Owned(text)))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Json::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Cell::Json)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Json::deserialize(serde::de::value::SeqAccessDeserializer::new(seq)).map(Cell::Json)
    }
}

impl Cell<'_> {
    /// The column's value, or the field as it came if it does not fit.
    pub(super) fn fit(self, column: &Column) -> Result<Value, Json> {
        if matches!(self, Self::Null) {
            return Ok(Value::Null);
        }
        let fitted = match column.kind {
            ColumnKind::Text => return self.into_text(),
            ColumnKind::Json => return Ok(Value::Json(self.into_json_text())),
            ColumnKind::Integer => self.integer().map(Value::Integer),
            ColumnKind::Boolean => self.boolean().map(Value::Boolean),
            ColumnKind::Timestamp => match &self {
                // An empty date means none.
                Self::Text(text) if text.is_empty() => Some(Value::Null),
                _ => self.timestamp(column.parse).map(Value::Timestamp),
            },
            ColumnKind::Decimal => self.decimal().map(Value::Decimal),
        };
        fitted.ok_or_else(|| self.into_json())
    }

    fn into_text(self) -> Result<Value, Json> {
        match self {
            Self::Text(text) => Ok(Value::Text(without_nul(text.into_owned(), "\0", "\u{fffd}"))),
            Self::Integer(number) => Ok(Value::Text(number.to_string())),
            Self::Number(number) => Ok(Value::Text(number.to_string())),
            Self::Bool(value) => Ok(Value::Text(value.to_string())),
            other => Err(other.into_json()),
        }
    }

    fn into_json(self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => value.into(),
            Self::Integer(value) => value.into(),
            Self::Number(number) => Json::Number(number),
            Self::Text(text) => Json::String(text.into_owned()),
            Self::Json(json) => json,
        }
    }

    fn into_json_text(self) -> String {
        let mut json = self.into_json();
        json.sort_all_objects();
        without_nul(json.to_string(), "\\u0000", "\\ufffd")
    }

    fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    fn boolean(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Text(text) => text.trim().to_ascii_lowercase().parse().ok(),
            Self::Integer(0) => Some(false),
            Self::Integer(1) => Some(true),
            _ => None,
        }
    }

    fn decimal(&self) -> Option<String> {
        match self {
            Self::Integer(number) => Some(number.to_string()),
            // The shortest decimal that reads back as the same double, in plain notation.
            Self::Number(number) => number.as_f64().map(|number| number.to_string()),
            Self::Text(text) => plain_decimal(text.trim()),
            _ => None,
        }
    }

    fn timestamp(&self, parse: Parse) -> Option<Timestamp> {
        let unit = match parse {
            Parse::UnixSeconds => Timestamp::SECOND,
            Parse::UnixMillis => 1_000,
            Parse::Rfc2822 | Parse::Iso8601 | Parse::Plain => return self.written_timestamp(parse),
        };
        let micros = match self {
            Self::Number(number) => {
                // Fractional seconds; a double holds microseconds of this century exactly enough to round.
                let seconds = number.to_string();
                let (whole, fraction) = seconds.split_once('.').unwrap_or((&seconds, ""));
                let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
                let fraction = digits.parse::<i64>().ok()?.checked_mul(unit)? / Timestamp::SECOND;
                whole
                    .parse::<i64>()
                    .ok()?
                    .checked_mul(unit)?
                    .checked_add(fraction)?
            }
            other => other.integer()?.checked_mul(unit)?,
        };
        Some(Timestamp::from_micros(micros)).filter(|time| storable(*time))
    }

    fn written_timestamp(&self, parse: Parse) -> Option<Timestamp> {
        let Self::Text(text) = self else { return None };
        let time = match parse {
            Parse::Rfc2822 => rfc2822(text)?,
            _ => iso8601(text)?,
        };
        Some(time).filter(|time| storable(*time))
    }
}

fn plain_decimal(text: &str) -> Option<String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits
        .split_once('.')
        .map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (all_digits(whole) && fraction.is_none_or(all_digits) && digits.len() <= 100)
        .then(|| text.strip_prefix('+').unwrap_or(text).to_owned())
}
