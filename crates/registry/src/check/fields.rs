//! Checks fields that a person or an app fills in.

use indexmap::IndexMap;
use regex::Regex;

use crate::field::{Field, Fields};
use crate::file::ConfigFile;
use crate::provider::AuthMode;
use crate::source::Report;
use crate::template::Template;
use crate::translation;
use crate::wording::list;

/// Returns the fields in the order of a form: by `order` if it is given, or else by their order in the file.
pub(super) fn all(mut fields: Fields, report: &Report<'_>) -> Fields {
    fields.sort_by_key(|_, field| field.order.unwrap_or(i64::MAX));
    for (name, field) in &mut fields {
        check(field, &report.at(name));
    }
    fields
}

/// Returns the credentials of an auth mode, with the file's declarations.
pub(super) fn credentials(auth: AuthMode, fields: Fields, report: &Report<'_>) -> Fields {
    let report = &report.at("credentials");
    let standard: &[(&str, &str)] = match auth {
        AuthMode::ApiKey => &[("apiKey", "API key")],
        AuthMode::Basic => &[("username", "User name"), ("password", "Password")],
    };
    let mut fields = all(fields, report);
    fields.retain(|name, _| {
        let known = standard.iter().any(|(known, _)| name == known);
        if !known {
            let known = list(standard.iter().map(|(known, _)| known), "and");
            report.at(name).doubt(format!("this auth_mode has only {known}"));
        }
        known
    });
    let declared = !fields.is_empty();
    for (name, title) in standard {
        // A file that declares one of the two does not need the other, and Nango accepts an empty password if none is declared.
        let fresh = Field {
            title: Some((*title).to_owned()),
            optional: declared || report.source().from_collection && *name == "password",
            ..Field::default()
        };
        let field = fields.entry((*name).to_owned()).or_insert(fresh);
        field.secret |= *name != "username";
    }
    fields
}

fn check(field: &mut Field, report: &Report<'_>) {
    pattern(&mut field.pattern, &report.at("pattern"));
    field.pattern_anywhere = report.source().from_collection;
    field.hidden |= field.automated;
    translation::check(&field.translations, report);
    for (key, value) in [
        ("example", &field.example),
        ("default_value", &field.default_value),
    ] {
        if let Some(Err(error)) = value.as_ref().map(|value| field.check(value)) {
            report
                .at(key)
                .doubt(format!("breaks the field's own rule: it {error}"));
        }
    }
}

/// Reports a pattern that is not a regular expression, and removes it.
pub(super) fn pattern(pattern: &mut Option<String>, report: &Report<'_>) {
    let Some(Err(error)) = pattern.as_deref().map(Regex::new) else {
        return;
    };
    *pattern = None;
    // The regex crate's message, without its drawing of the pattern.
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    report.doubt(format!(
        "is not a regular expression that Trunkline can use: {line}"
    ));
}

/// Returns the keys that `proxy.connection_config` adds: with a value from the file, or as a field.
pub(super) fn of_proxy(files: IndexMap<String, ConfigFile>, report: &Report<'_>) -> Vec<(String, Field)> {
    let fields = files.into_iter().map(|(name, file)| {
        let field = match file {
            ConfigFile::Value(value) => Field {
                default_value: Some(value.0),
                hidden: true,
                ..Field::default()
            },
            ConfigFile::Field(mut field) => {
                check(&mut field, &report.at(&name));
                *field
            }
        };
        (name, field)
    });
    fields.collect()
}

/// Stores in each field which of its prefix and suffix `templates` add to its value, since people sometimes type them too.
pub(super) fn note_added<'a>(fields: &mut Fields, templates: &(impl Iterator<Item = &'a Template> + Clone)) {
    for (name, field) in fields {
        let placeholder = format!("connectionConfig.{name}");
        let adds = |text: &Option<String>, after| {
            let text = text.as_ref().filter(|text| !text.is_empty());
            text.filter(|text| {
                templates
                    .clone()
                    .any(|template| template.has_beside(&placeholder, text, after))
            })
            .cloned()
        };
        field.added = (adds(&field.prefix, false), adds(&field.suffix, true));
    }
}
