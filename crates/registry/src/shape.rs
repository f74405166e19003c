//! Checks whether a document has the shape of a provider file, and reports all errors at once in plain words.
//!
//! The shape is the JSON Schema that is generated from the structs of `file` and of the sections.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::Value as Json;

use crate::duration;
use crate::file::ProviderFile;
use crate::path::DocumentPath;
use crate::source::Report;
use crate::wording::{list, nearest};

/// Returns the JSON Schema of a provider file.
pub fn json_schema() -> Json {
    let mut schema = checked_schema();
    RecursiveTransform(|schema: &mut Schema| {
        if schema.get("format").and_then(Json::as_str) == Some(duration::FORMAT) {
            schema.remove("format");
        }
    })
    .transform(&mut schema);
    schema.to_value()
}

/// Returns the schema for the check of files, which has a format of our own.
fn checked_schema() -> Schema {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<ProviderFile>();
    RecursiveTransform(without_null).transform(&mut schema);
    RecursiveTransform(simpler).transform(&mut schema);
    schema
}

/// Turns the documented variants of an enum into one `enum` of words, and removes defaults other than booleans, which descriptions
/// state.
fn simpler(schema: &mut Schema) {
    if schema.get("default").is_some_and(|default| !default.is_boolean()) {
        schema.remove("default");
    }
    let words = |branch: &Json| match (branch.get("const"), branch.get("enum")) {
        (Some(word), _) => Some(vec![word.clone()]),
        (None, Some(Json::Array(words))) => Some(words.clone()),
        _ => None,
    };
    let branches = schema.get("oneOf").and_then(Json::as_array);
    let words = branches.and_then(|branches| branches.iter().map(words).collect::<Option<Vec<_>>>());
    if let Some(words) = words {
        schema.remove("oneOf");
        schema.insert("type".to_owned(), "string".into());
        schema.insert("enum".to_owned(), words.concat().into());
    }
}

/// Removes `null` from optional keys, which a file leaves out instead.
fn without_null(schema: &mut Schema) {
    let null = Json::from("null");
    if let Some(Json::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| *kind != null);
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    let Some(Json::Array(branches)) = schema.get_mut("anyOf") else {
        return;
    };
    let before = branches.len();
    branches.retain(|branch| branch.get("type") != Some(&null));
    if let (true, [Json::Object(only)]) = (branches.len() < before, branches.as_slice()) {
        let only = only.clone();
        schema.remove("anyOf");
        for (key, value) in only {
            schema.insert(key, value);
        }
    }
}

/// Checks documents against the schema.
#[derive(Debug)]
pub(crate) struct Shape {
    schema: Json,
    /// Or the error in the schema.
    validator: Result<Validator, String>,
}

impl Shape {
    pub(crate) fn new() -> Self {
        let schema = checked_schema().to_value();
        let options = jsonschema::options()
            .with_format(duration::FORMAT, |text: &str| duration::parse(text).is_some())
            .should_validate_formats(true);
        let validator = options.build(&schema).map_err(|error| error.to_string());
        Self { schema, validator }
    }

    /// Reports all errors, and returns whether there are none but unknown keys.
    pub(crate) fn check(&self, document: &Json, report: &Report<'_>) -> bool {
        let validator = match &self.validator {
            Ok(validator) => validator,
            Err(error) => {
                report.error(format!(
                    "cannot be checked, because Trunkline's own schema is invalid: report this as a bug ({error})"
                ));
                return false;
            }
        };
        let errors = validator.iter_errors(document);
        // Each explanation reports its errors, so none is skipped.
        errors.filter(|error| !self.explain(error, report)).count() == 0
    }

    /// Reports an error, and returns whether it is only about unknown keys.
    fn explain(&self, error: &ValidationError<'_>, report: &Report<'_>) -> bool {
        let path = DocumentPath::from_pointer(error.instance_path().as_str());
        let report = report.root().at_path(&path);
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let known = self.keys_beside(error.schema_path().as_str());
                for key in unexpected {
                    report.at(key).doubt(unknown_key(key, &known));
                }
                return true;
            }
            ValidationErrorKind::AnyOf { context } => {
                // If the value has the type of a branch, report that branch's errors; otherwise say what all branches accept.
                let fitting = |errors: &&Vec<_>| !errors.iter().any(|inner| wants_other(inner, error));
                if let Some(errors) = context.iter().find(fitting) {
                    let wrong = errors.iter().filter(|inner| !self.explain(inner, &report));
                    return wrong.count() == 0;
                }
            }
            _ => {}
        }
        report.error(describe(error));
        false
    }

    /// Returns the keys that an object may have, given the pointer to its `additionalProperties` in the schema.
    fn keys_beside(&self, pointer: &str) -> Vec<&str> {
        let object = pointer
            .rsplit_once('/')
            .and_then(|(parent, _)| self.schema.pointer(parent));
        let properties = object
            .and_then(|object| object.get("properties"))
            .and_then(Json::as_object);
        properties
            .into_iter()
            .flat_map(|keys| keys.keys().map(String::as_str))
            .collect()
    }
}

/// Whether a branch rejects the value itself and not something inside it.
fn wants_other(inner: &ValidationError<'_>, outer: &ValidationError<'_>) -> bool {
    inner.instance_path() == outer.instance_path() && !wanted(inner).is_empty()
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    match nearest(key, known.iter().copied()) {
        Some(candidate) => format!("{key:?} is an unknown key; did you mean {candidate:?}?"),
        None => format!("{key:?} is an unknown key; the keys are {}", list(known, "and")),
    }
}

fn describe(error: &ValidationError<'_>) -> String {
    let wanted = wanted(error);
    if !wanted.is_empty() {
        let scalar = error.instance().is_number() || error.instance().is_boolean();
        let quotes = if scalar && wanted.iter().any(|word| word == "text") {
            ": put it in quotes"
        } else {
            ""
        };
        return format!("must be {}{quotes}", list(&wanted, "or"));
    }
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            format!("{:?} is missing here", property.as_str().unwrap_or_default())
        }
        ValidationErrorKind::Format { format } if format == duration::FORMAT => duration::RULE.to_owned(),
        ValidationErrorKind::Minimum { limit } => format!("must be {limit} or more"),
        ValidationErrorKind::Maximum { limit } => format!("must be {limit} or less"),
        ValidationErrorKind::MaxProperties { limit } => format!("must have {limit} entry"),
        _ => error.to_string(),
    }
}

/// Returns the types or fixed words that would be valid here; empty if the error is about something else.
fn wanted(error: &ValidationError<'_>) -> Vec<String> {
    match error.kind() {
        ValidationErrorKind::Type {
            kind: TypeKind::Single(kind),
        } => vec![type_word(kind.as_str())],
        ValidationErrorKind::Type {
            kind: TypeKind::Multiple(kinds),
        } => kinds.iter().map(|kind| type_word(kind.as_str())).collect(),
        ValidationErrorKind::Enum { options } => {
            let words = options.as_array().into_iter().flatten();
            words.filter_map(Json::as_str).map(str::to_owned).collect()
        }
        ValidationErrorKind::AnyOf { context } => {
            let mut words = Vec::new();
            for word in context.iter().flatten().flat_map(wanted) {
                if !words.contains(&word) {
                    words.push(word);
                }
            }
            words
        }
        _ => Vec::new(),
    }
}

fn type_word(name: &str) -> String {
    match name {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a map of keys and values",
        other => other,
    }
    .to_owned()
}
