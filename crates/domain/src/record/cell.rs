//! Converts the fields of records, parameters of addresses and stored text to the value of a column.

use std::borrow::Cow;

use super::Value;
use super::dates::{iso8601, rfc2822, storable};
use super::number::{Decimal, NotWhole};
use crate::json::{JsonError, JsonKind, JsonReader, JsonScalar};
use crate::{Column, ColumnKind, Parse, Timestamp};

/// The value of a field, before it is converted for its column.
pub(super) enum Cell<'a> {
    Scalar(JsonScalar<'a>),
    /// A list or an object, as JSON with sorted names.
    Json(String),
}

const NOT_A_NUMBER: &str = "not a number";
const FRACTION: &str = "a number with a fraction";
const OUT_OF_RANGE: &str = "a number out of range";
const TOO_LONG: &str = "a number of more than 1,000 digits";
const NOT_A_BOOLEAN: &str = "neither true nor false";
const NOT_A_TIME: &str = "not a time of a known form";
const YEAR_OUT_OF_RANGE: &str = "a time outside the years 1 to 9999";
const LIST_OR_OBJECT: &str = "a list or an object";

impl<'a> Cell<'a> {
    pub(super) fn read(json: &mut JsonReader<'a>) -> Result<Self, JsonError> {
        Ok(if json.kind()? == JsonKind::Scalar {
            Self::Scalar(json.scalar()?)
        } else {
            Self::Json(json.copied()?)
        })
    }

    /// Returns the column's value, or why the cell does not fit the column.
    pub(super) fn fit(&self, column: &Column) -> Result<Value, &'static str> {
        let scalar = match (self, column.kind) {
            (Self::Scalar(JsonScalar::Null), _) => return Ok(Value::Null),
            (_, ColumnKind::Json) => return Ok(Value::Json(self.to_json())),
            (Self::Json(_), _) => return Err(LIST_OR_OBJECT),
            (Self::Scalar(scalar), _) => scalar,
        };
        match column.kind {
            ColumnKind::Text | ColumnKind::Json => Ok(Value::Text(written(scalar).into_owned())),
            ColumnKind::Integer => integer(scalar).map(Value::Integer),
            ColumnKind::Boolean => boolean(scalar).map(Value::Boolean).ok_or(NOT_A_BOOLEAN),
            ColumnKind::Decimal => decimal(scalar).map(Value::Decimal),
            ColumnKind::Timestamp => match scalar {
                // An empty date means no date.
                JsonScalar::Text(text) if text.is_empty() => Ok(Value::Null),
                _ => timestamp(scalar, column.parse).map(Value::Timestamp),
            },
        }
    }

    pub(super) fn to_json(&self) -> String {
        match self {
            Self::Json(text) => text.clone(),
            Self::Scalar(scalar) => {
                let mut text = String::new();
                scalar.write(&mut text);
                text
            }
        }
    }
}

impl Value {
    /// Returns the value of a column that is stored as text.
    pub fn of_text(kind: ColumnKind, text: String) -> Self {
        match kind {
            ColumnKind::Decimal => Self::Decimal(text),
            ColumnKind::Json => Self::Json(text),
            _ => Self::Text(text),
        }
    }

    /// Reads the value of a column from a parameter of an address. The error is the end of a sentence that begins with the parameter's
    /// name.
    pub fn from_parameter(kind: ColumnKind, text: &str) -> Result<Self, String> {
        Ok(match kind {
            ColumnKind::Text | ColumnKind::Json => {
                let rest = text.strip_prefix(' ').unwrap_or_default();
                if !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit()) {
                    let rule = "begins with a blank, which is what a + becomes in an address: write %2B there, as in %2B15551234567";
                    return Err(rule.to_owned());
                }
                Self::Text(text.to_owned())
            }
            ColumnKind::Decimal => Self::Decimal(
                Decimal::parse(text)
                    .and_then(|number| number.plain())
                    .ok_or("must be a decimal number")?,
            ),
            ColumnKind::Integer => Self::Integer(text.parse().map_err(|_| "must be a whole number")?),
            ColumnKind::Boolean => Self::Boolean(text.parse().map_err(|_| "must be true or false")?),
            ColumnKind::Timestamp => {
                Self::Timestamp(Timestamp::from_parameter(text).map_err(|error| format!("is {error}"))?)
            }
        })
    }
}

/// Reads a time that a provider wrote in this way; `None` if it cannot be stored.
pub fn parse_timestamp(text: &str, parse: Parse) -> Option<Timestamp> {
    timestamp(&JsonScalar::Text(Cow::Borrowed(text)), parse).ok()
}

/// Returns a scalar as text.
fn written<'s>(scalar: &'s JsonScalar<'_>) -> Cow<'s, str> {
    match scalar {
        JsonScalar::Null => Cow::Borrowed("null"),
        JsonScalar::Bool(true) => Cow::Borrowed("true"),
        JsonScalar::Bool(false) => Cow::Borrowed("false"),
        JsonScalar::Number(digits) => Cow::Borrowed(digits),
        JsonScalar::Text(text) => Cow::Borrowed(text),
    }
}

fn number(scalar: &JsonScalar<'_>) -> Result<Decimal, &'static str> {
    Decimal::parse(written(scalar).trim()).ok_or(NOT_A_NUMBER)
}

fn integer(scalar: &JsonScalar<'_>) -> Result<i64, &'static str> {
    if let JsonScalar::Number(digits) = scalar
        && let Ok(number) = digits.parse()
    {
        return Ok(number);
    }
    number(scalar)?.whole(0).map_err(|error| match error {
        NotWhole::Fraction => FRACTION,
        NotWhole::OutOfRange => OUT_OF_RANGE,
    })
}

fn decimal(scalar: &JsonScalar<'_>) -> Result<String, &'static str> {
    number(scalar)?.plain().ok_or(TOO_LONG)
}

fn boolean(scalar: &JsonScalar<'_>) -> Option<bool> {
    let text = written(scalar);
    let text = text.trim();
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => text.to_ascii_lowercase().parse().ok(),
    }
}

fn timestamp(scalar: &JsonScalar<'_>, parse: Parse) -> Result<Timestamp, &'static str> {
    let text = written(scalar);
    let text = text.trim();
    let shift = match parse {
        Parse::UnixSeconds => 6,
        Parse::UnixMillis => 3,
        Parse::Rfc2822 => return stored(rfc2822(text).or_else(|| iso8601(text))),
        Parse::Iso8601 | Parse::Plain => return stored(iso8601(text).or_else(|| rfc2822(text))),
    };
    let Some(number) = Decimal::parse(text) else {
        return stored(iso8601(text).or_else(|| rfc2822(text)));
    };
    let micros = number.floor(shift).map_err(|_| YEAR_OUT_OF_RANGE)?;
    stored(Some(Timestamp::from_micros(micros)))
}

fn stored(time: Option<Timestamp>) -> Result<Timestamp, &'static str> {
    let time = time.ok_or(NOT_A_TIME)?;
    if storable(time) {
        Ok(time)
    } else {
        Err(YEAR_OUT_OF_RANGE)
    }
}
