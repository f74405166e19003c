//! Query parameters, strictly: each by its name once, and none that a route does not know.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::future::{Ready, ready};
use std::ops::RangeInclusive;
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use domain::{ParseTimestampError, Timestamp};
use gateway::FieldError;
use serde_json::{Map, Value as Json};

use crate::error::ApiError;

/// The checked query of a request.
pub(crate) struct Query<T>(pub(crate) T);

/// A query that can be read out of parameters.
pub(crate) trait FromParameters: Sized {
    /// Takes what it knows; what is wrong is noted in `parameters`, and what is left is unknown. A value made in spite of an error
    /// is not used.
    fn read(parameters: &mut Parameters) -> Self;
}

impl<T: FromParameters> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut parameters = Parameters::of(request);
        let read = T::read(&mut parameters);
        ready(parameters.finish().map(|()| Self(read)))
    }
}

/// The names and values of a query string.
pub(crate) struct Parameters {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Parameters {
    fn of(request: &HttpRequest) -> Self {
        Self {
            pairs: pairs(request),
            known: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Notes that a parameter cannot be taken.
    pub(crate) fn wrong(&mut self, code: &'static str, name: &str, message: impl Into<String>) {
        self.errors.push(FieldError::at(code, name, message));
    }

    /// The text of a parameter.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let mut values: Vec<String> = self
            .pairs
            .extract_if(.., |(known, _)| known == name)
            .map(|(_, value)| value)
            .collect();
        let value = values.pop()?;
        if !values.is_empty() {
            self.wrong("invalid", name, "is given twice");
        } else if value.is_empty() || value.contains('\0') {
            self.wrong("invalid", name, "must be text, and not empty");
        }
        Some(value)
    }

    /// A parameter that must be there.
    pub(crate) fn required(&mut self, name: &'static str, what: &str) -> String {
        self.text(name).unwrap_or_else(|| {
            self.wrong("missing", name, format!("is needed: {what}"));
            String::new()
        })
    }

    /// The value of a parameter that has a rule.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<T> {
        let text = self.text(name)?;
        text.parse()
            .map_err(|rule: T::Err| self.wrong("invalid", name, rule.to_string()))
            .ok()
    }

    /// A moment. A plus sign that was not encoded arrives as a space and is taken for what it was.
    pub(crate) fn time(&mut self, name: &'static str) -> Option<Timestamp> {
        let text = self.text(name)?;
        Timestamp::from_parameter(&text)
            .map_err(|rule: ParseTimestampError| self.wrong("invalid", name, format!("is {rule}")))
            .ok()
    }

    /// A whole number.
    pub(crate) fn number(&mut self, name: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let text = self.text(name)?;
        let number = text.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = (range.start(), range.end());
            self.wrong(
                "invalid",
                name,
                format!("must be a whole number from {least} to {most}"),
            );
        }
        number
    }

    /// `true` or `false`; false if it is left out.
    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        let text = self.text(name);
        let flag = text.as_deref().map_or(Ok(false), str::parse);
        flag.unwrap_or_else(|_| {
            self.wrong("invalid", name, "must be true or false");
            false
        })
    }

    /// The values of a parameter that may be given up to `most` times.
    pub(crate) fn repeated<T: FromStr<Err: Display>>(&mut self, name: &'static str, most: usize) -> Vec<T> {
        self.known.push(name);
        let given: Vec<_> = self.pairs.extract_if(.., |(known, _)| known == name).collect();
        if given.len() > most {
            self.wrong("invalid", name, format!("may be given {most} times at most"));
        }
        let mut values = Vec::new();
        for (_, text) in given {
            match text.parse() {
                Ok(value) => values.push(value),
                Err(rule) => self.wrong("invalid", name, T::Err::to_string(&rule)),
            }
        }
        values
    }

    /// The values of a list with commas between.
    pub(crate) fn list<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Vec<T> {
        let text = self.text(name).unwrap_or_default();
        let mut values = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            match part.parse() {
                Ok(value) => values.push(value),
                Err(rule) => self.wrong("invalid", name, format!("holds {part:?}, which {rule}")),
            }
        }
        values
    }

    /// The same, where `*` stands for all, which is an empty list, and nothing at all is an error.
    pub(crate) fn list_or_all<T: FromStr<Err: Display>>(&mut self, name: &'static str, what: &str) -> Vec<T> {
        if self
            .pairs
            .iter()
            .any(|(known, value)| known == name && value == "*")
        {
            self.text(name);
            return Vec::new();
        }
        let before = self.errors.len();
        let values = self.list(name);
        if values.is_empty() && self.errors.len() == before {
            self.wrong("missing", name, format!("is needed: {what}"));
        }
        values
    }

    /// What is written `name[key]=value`.
    pub(crate) fn keyed(&mut self, name: &'static str) -> Vec<(String, String)> {
        self.known.push(name);
        let key = |full: &str| {
            Some(
                full.strip_prefix(name)?
                    .strip_prefix('[')?
                    .strip_suffix(']')
                    .filter(|key| !key.contains(['[', ']']))?
                    .to_owned(),
            )
        };
        let taken: Vec<(String, String)> = self
            .pairs
            .extract_if(.., |(full, value)| {
                key(full).is_some() && !full.contains('\0') && !value.contains('\0')
            })
            .filter_map(|(full, value)| Some((key(&full)?, value)))
            .collect();
        let names: BTreeSet<&str> = taken.iter().map(|(key, _)| key.as_str()).collect();
        if names.len() < taken.len() {
            self.wrong("invalid", name, "holds a name twice");
        }
        taken
    }

    /// Parameters that Nango's SDKs always send and that mean nothing here.
    pub(crate) fn ignore(&mut self, names: &[&str]) {
        self.pairs.retain(|(name, _)| !names.contains(&name.as_str()));
    }

    fn finish(mut self) -> Result<(), ApiError> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            let known = if self.known.is_empty() {
                "none".to_owned()
            } else {
                self.known.join(", ")
            };
            self.wrong(
                "unknown",
                &name,
                format!("is no parameter of this route; it takes {known}"),
            );
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(ApiError::InvalidQuery(self.errors))
        }
    }
}

/// The query string's names and values as they stand there.
pub(crate) fn pairs(request: &HttpRequest) -> Vec<(String, String)> {
    url::form_urlencoded::parse(request.query_string().as_bytes())
        .into_owned()
        .collect()
}

/// The query as the inputs of an action: one that comes several times is a list.
pub(crate) fn inputs(request: &HttpRequest) -> Map<String, Json> {
    let mut inputs = Map::new();
    for (name, value) in pairs(request) {
        match inputs.get_mut(&name) {
            None => drop(inputs.insert(name, Json::String(value))),
            Some(Json::Array(values)) => values.push(Json::String(value)),
            Some(first) => *first = Json::Array(vec![first.take(), Json::String(value)]),
        }
    }
    inputs
}

/// The query of a route that takes none.
pub(crate) struct NoParameters;

impl FromParameters for NoParameters {
    fn read(_: &mut Parameters) -> Self {
        Self
    }
}
