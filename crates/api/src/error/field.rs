//! Errors of serde as errors of fields.

use std::fmt::Display;

use gateway::FieldError;
use serde_path_to_error::{Error, Segment};

/// Returns what is wrong with a query or a body, with the path to it.
pub(crate) fn field_error(error: Error<impl Display>) -> FieldError {
    let path = error.path().iter().map(name).collect();
    let message = error.into_inner().to_string();
    // The path says where.
    let message = match message.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => message,
    };
    let begins = |what: &str| message.starts_with(what);
    let code = match () {
        () if begins("unknown field") => "unknown",
        () if begins("missing field") => "missing",
        () => "invalid",
    };
    FieldError { code, path, message }
}

/// A step of a path: a field's name, or a place in a list from 0.
fn name(step: &Segment) -> String {
    match step {
        Segment::Seq { index } => index.to_string(),
        Segment::Map { key } => key.clone(),
        Segment::Enum { variant } => variant.clone(),
        Segment::Unknown => String::new(),
    }
}
