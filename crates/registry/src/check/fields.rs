//! Fields that somebody fills in.

use indexmap::IndexMap;
use regex::Regex;

use crate::file::{ConfigFile, FieldFile, FieldFormatName, Scalar};
use crate::path::Path;
use crate::source::Report;
use crate::{AuthMode, Field, FieldFormat, Template, VisibleWhen};

/// The fields in the order of a form: by `order` where it is given, else as they are written.
pub(super) fn all(
    files: &IndexMap<String, FieldFile>,
    path: &Path,
    report: &mut Report<'_>,
) -> IndexMap<String, Field> {
    let mut files: Vec<_> = files.iter().collect();
    files.sort_by_key(|(_, file)| file.order.unwrap_or(i64::MAX));
    files
        .into_iter()
        .map(|(name, file)| (name.clone(), field(file, &path.at(name), report)))
        .collect()
}

/// The credentials of an auth mode, with what the file says of them.
pub(super) fn credentials(
    auth: AuthMode,
    files: Option<&IndexMap<String, FieldFile>>,
    report: &mut Report<'_>,
) -> IndexMap<String, Field> {
    let path = Path::default().at("credentials");
    let standard: &[(&str, &str)] = match auth {
        AuthMode::ApiKey => &[("apiKey", "API key")],
        AuthMode::Basic => &[("username", "User name"), ("password", "Password")],
    };
    let mut fields = files.map(|files| all(files, &path, report)).unwrap_or_default();
    fields.retain(|name, _| {
        let known = standard.iter().any(|(known, _)| name == known);
        if !known {
            let known: Vec<&str> = standard.iter().map(|(known, _)| *known).collect();
            report.doubt(
                &path.at(name),
                format!("this auth_mode knows {} alone", crate::shape::list(&known, "and")),
            );
        }
        known
    });
    let declared = !fields.is_empty();
    for (name, title) in standard {
        // A file that declares one of the two does without the other, and Nango takes an empty password where none is declared.
        let fresh = Field {
            title: Some((*title).to_owned()),
            optional: declared || report.source.foreign && *name == "password",
            ..Field::default()
        };
        let field = fields.entry((*name).to_owned()).or_insert(fresh);
        field.secret |= *name != "username";
    }
    fields
}

fn field(file: &FieldFile, path: &Path, report: &mut Report<'_>) -> Field {
    let pattern = pattern(file.pattern.as_deref(), path, report);
    let text = |scalar: &Option<Scalar>| scalar.as_ref().map(|scalar| scalar.0.clone());
    let field = Field {
        title: file.title.clone(),
        description: file.description.clone(),
        example: text(&file.example),
        pattern,
        pattern_description: file.pattern_description.clone(),
        pattern_anywhere: report.source.foreign,
        format: file.format.map(format),
        allowed: file.allowed.iter().map(|scalar| scalar.0.clone()).collect(),
        prefix: text(&file.prefix),
        suffix: text(&file.suffix),
        added: (None, None),
        visible_when: file.visible_when.as_ref().map(|when| VisibleWhen {
            field: when.field.clone(),
            equals: when.equals.0.iter().map(|scalar| scalar.0.clone()).collect(),
        }),
        secret: file.secret,
        optional: file.optional,
        default_value: text(&file.default_value),
        hidden: file.hidden || file.automated,
        env: file.env.clone(),
    };
    for (key, value) in [
        ("example", &field.example),
        ("default_value", &field.default_value),
    ] {
        if let Some(Err(error)) = value.as_ref().map(|value| field.check(value)) {
            report.doubt(&path.at(key), format!("breaks the field's own rule: it {error}"));
        }
    }
    field
}

pub(super) fn pattern(text: Option<&str>, path: &Path, report: &mut Report<'_>) -> Option<Regex> {
    match Regex::new(text?) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            report.doubt(
                &path.at("pattern"),
                format!(
                    "is no regular expression that Trunkline can use: {}",
                    last_line(&error)
                ),
            );
            None
        }
    }
}

pub(super) fn format(name: FieldFormatName) -> FieldFormat {
    match name {
        FieldFormatName::Hostname => FieldFormat::Hostname,
        FieldFormatName::Uri => FieldFormat::Uri,
        FieldFormatName::Uuid => FieldFormat::Uuid,
        FieldFormatName::Email => FieldFormat::Email,
        FieldFormatName::Phone => FieldFormat::Phone,
        FieldFormatName::Sender => FieldFormat::Sender,
        FieldFormatName::Date => FieldFormat::Date,
        FieldFormatName::DateTime => FieldFormat::DateTime,
    }
}

/// The keys that `proxy.connection_config` adds: with a value of the file, or as any other field.
pub(super) fn of_proxy(
    files: &IndexMap<String, ConfigFile>,
    path: &Path,
    report: &mut Report<'_>,
) -> Vec<(String, Field)> {
    let fields = files.iter().map(|(name, file)| {
        let field = match file {
            ConfigFile::Value(value) => Field {
                default_value: Some(value.0.clone()),
                hidden: true,
                ..Field::default()
            },
            ConfigFile::Field(file) => field(file, &path.at(name), report),
        };
        (name.clone(), field)
    });
    fields.collect()
}

/// Notes at each field which prefix and suffix `templates` add to its value, as people type them now and then.
pub(super) fn note_added<'a>(
    fields: &mut IndexMap<String, Field>,
    templates: &(impl Iterator<Item = &'a Template> + Clone),
) {
    for (name, field) in fields {
        let hole = format!("connectionConfig.{name}");
        let adds = |text: &Option<String>, after| {
            let text = text.as_ref().filter(|text| !text.is_empty());
            text.filter(|text| {
                templates
                    .clone()
                    .any(|template| template.has_beside(&hole, text, after))
            })
            .cloned()
        };
        field.added = (adds(&field.prefix, false), adds(&field.suffix, true));
    }
}

/// What the regex crate has to say, without its drawing of the pattern.
pub(super) fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
