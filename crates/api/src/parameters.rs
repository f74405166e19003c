//! Reads the parameters of a query or of headers into a type that derives `Deserialize` and `IntoParams`. Every error has the name of its
//! parameter.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;

use domain::Timestamp;
use gateway::FieldError;
use serde::de::value::{Error as ValueError, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterIn};

/// The parameters of a request, by their names; those of headers are in lower case.
pub(crate) type RawParameters = BTreeMap<String, Values>;

/// Reads parameters, or returns everything that is wrong with them.
pub(crate) fn read<T: DeserializeOwned + IntoParams>(mut raw: RawParameters) -> Result<T, Vec<FieldError>> {
    let mut errors: Vec<FieldError> = Vec::new();
    loop {
        let entries = raw.iter().map(|(name, values)| (name.as_str(), values));
        let error = match serde_path_to_error::deserialize(MapDeserializer::new(entries)) {
            Ok(read) if errors.is_empty() => return Ok(read),
            Ok(_) => return Err(errors),
            Err(error) => FieldError::from_serde(&[], error),
        };
        let name = error.path.first().filter(|_| error.code != "missing");
        // Without the parameter that is wrong, the next error is found.
        if name.and_then(|name| raw.remove(name)).is_some() {
            errors.push(named::<T>(error));
            continue;
        }
        let is_known =
            |name: &String| raw.contains_key(name) || errors.iter().any(|error| error.path.contains(name));
        let mut missing = names::<T>(|parameter| matches!(parameter.required, Required::True));
        missing.retain(|name| !is_known(name));
        errors.extend(
            missing
                .into_iter()
                .map(|name| FieldError::at("missing", name, "is required")),
        );
        if errors.is_empty() {
            errors.push(error);
        }
        return Err(errors);
    }
}

/// Lists the known parameters in an error of an unknown one.
fn named<T: IntoParams>(mut error: FieldError) -> FieldError {
    error.path.truncate(1);
    if error.code == "unknown" {
        let known = names::<T>(|_| true);
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        error.message = format!("is not a parameter of this route, which has: {known}");
    }
    error
}

/// Returns the names of the declared parameters that are wanted.
fn names<T: IntoParams>(wanted: impl Fn(&Parameter) -> bool) -> Vec<String> {
    let parameters = T::into_params(|| None).into_iter().filter(wanted);
    let name = |parameter: Parameter| match parameter.parameter_in {
        ParameterIn::Header => parameter.name.to_ascii_lowercase(),
        _ => parameter.name,
    };
    parameters.map(name).collect()
}

/// Everything that is given for one parameter.
#[derive(Default)]
pub(crate) struct Values {
    /// `name=value`, each time.
    pub(crate) plain: Vec<String>,
    /// `name[key]=value`.
    pub(crate) keyed: Vec<(String, String)>,
    /// Whether only ASCII is allowed, as in headers.
    pub(crate) ascii_only: bool,
}

impl Values {
    /// The value of a parameter that may be given once.
    fn text(&self) -> Result<&str, ValueError> {
        match (self.plain.as_slice(), self.keyed.as_slice()) {
            ([text], []) if self.ascii_only && !text.is_ascii() => {
                Err(ValueError::custom("has characters other than those of ASCII"))
            }
            ([text], []) if !text.is_empty() && !text.contains('\0') => Ok(text),
            ([_], []) => Err(ValueError::custom("must be text, and not empty")),
            (_, []) => Err(ValueError::custom("is given twice")),
            _ => Err(ValueError::custom("must be one value, without keys in brackets")),
        }
    }
}

impl IntoDeserializer<'_> for &Values {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for &Values {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_some(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        let flag = self.text()?.parse();
        visitor.visit_bool(flag.map_err(|_| ValueError::custom("must be true or false"))?)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        let number = self.text()?.parse();
        visitor.visit_i64(number.map_err(|_| ValueError::custom("must be a whole number"))?)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_enum(self.text()?.into_deserializer())
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if !self.keyed.is_empty() {
            return Err(ValueError::custom("must be given without keys in brackets"));
        }
        visitor.visit_seq(SeqDeserializer::new(self.plain.iter().map(String::as_str)))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if !self.plain.is_empty() {
            return Err(ValueError::custom(
                "must be given with keys, such as name[key]=value",
            ));
        }
        let names: BTreeSet<&String> = self.keyed.iter().map(|(name, _)| name).collect();
        if names.len() < self.keyed.len() {
            return Err(ValueError::custom("holds a name twice"));
        }
        let entries = self
            .keyed
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        visitor.visit_map(MapDeserializer::new(entries))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct tuple tuple_struct struct identifier
    }
}

/// A whole number from `MIN` to `MAX`, of a query or a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounded<const MIN: i64, const MAX: i64>(pub(crate) i64);

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Bounded<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer).ok();
        let number = number.filter(|number| (MIN..=MAX).contains(number));
        let rule = || D::Error::custom(format_args!("must be a whole number from {MIN} to {MAX}"));
        number.map(Self).ok_or_else(rule)
    }
}

/// Reads an optional value that has a rule.
pub(crate) fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(D::Error::custom)
}

/// Reads an optional time. A plus sign that is not encoded arrives as a space and is accepted.
pub(crate) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = |rule| D::Error::custom(format_args!("is {rule}"));
    Timestamp::from_parameter(&text).map(Some).map_err(wrong)
}

/// Reads a list with commas between its values.
pub(crate) fn comma_separated<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parts = text.split(',').filter(|part| !part.is_empty());
    let parse = |part: &str| {
        part.parse()
            .map_err(|rule| D::Error::custom(format_args!("holds {part:?}, which {rule}")))
    };
    parts.map(parse).collect()
}

/// Reads a parameter that may be given up to `MAX` times.
pub(crate) fn at_most<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let values = Vec::deserialize(deserializer)?;
    if values.len() > MAX {
        return Err(D::Error::custom(format_args!("may be given {MAX} times at most")));
    }
    Ok(values)
}
