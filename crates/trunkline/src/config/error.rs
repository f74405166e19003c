//! Errors of the configuration. Each names the setting, the problem, and the solution.

use std::fmt::Display;

use figment::error::{Actual, Kind};

use super::settings;
use crate::usage::UsageError;

/// The value of a setting has the right type but cannot be used.
pub(crate) fn unusable(key: &str, problem: impl Display) -> UsageError {
    UsageError(format!(
        "the value of {} is not valid: {problem}",
        settings::named(key)
    ))
}

impl From<figment::Error> for UsageError {
    fn from(error: figment::Error) -> Self {
        let key = error.path.join(".");
        let origin = error
            .metadata
            .as_ref()
            .map_or_else(|| "the configuration".to_owned(), settings::origin);
        if key.is_empty() {
            let problem = error.kind.to_string();
            return Self(format!("{origin} cannot be read: {}", problem.trim_end()));
        }
        // Figment's message contains the value.
        let problem = if settings::is_secret(&key) {
            "must be text".to_owned()
        } else {
            problem(&error.kind)
        };
        Self(format!(
            "the value of `{key}` (from {origin}) is not valid: {problem}"
        ))
    }
}

/// Describes the problem with a value, without the names of Rust's types.
fn problem(kind: &Kind) -> String {
    match kind {
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            format!("must be {} (got {})", type_name(expected), value(found))
        }
        Kind::UnknownVariant(found, expected) => format!("must be {} (got {found:?})", expected.join(" or ")),
        other => other.to_string(),
    }
}

/// Names the type that serde expects.
fn type_name(expected: &str) -> &str {
    match expected {
        "u64" | "u32" | "usize" => "a whole number",
        expected if expected.starts_with("a nonzero") => "a whole number above 0",
        "a boolean" | "bool" => "true or false",
        expected => expected,
    }
}

fn value(found: &Actual) -> String {
    match found {
        Actual::Str(text) => format!("{text:?}"),
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(number) => number.to_string(),
        Actual::Signed(number) => number.to_string(),
        other => other.to_string(),
    }
}
