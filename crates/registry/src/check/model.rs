//! The model of a sync: its table, columns and key.

use domain::{Column, ColumnKind, Model, Parse, TableName};
use indexmap::IndexMap;

use crate::file::{ColumnFile, ColumnSpec, SyncFile};
use crate::reserved::is_reserved_below;
use crate::source::Report;

pub(super) type Columns = IndexMap<TableName, Column>;

/// Parameters that every list has in addition to a model's own filters.
const LIST_PARAMETERS: [&str; 4] = ["connection_id", "limit", "cursor", "variant"];

pub(super) fn model(file: &SyncFile, columns: Columns, report: &Report<'_>) -> Option<Model> {
    let name = report.at("model").take(file.model.parse());
    let table = report.at("table").take(file.table.parse());
    if file.table.contains("__") {
        report
            .at("table")
            .error("must not hold two _ in a row: that is how the tables of variants are named");
    }
    let key = declared(&file.key, &columns, &report.at("key"));
    if let Some((_, column)) = key.as_ref().filter(|(_, column)| column.kind != ColumnKind::Text) {
        let (name, kind) = (&file.key, column.kind.name());
        report
            .at("key")
            .error(format!("the key column must be of type text; {name:?} is {kind}"));
    }
    let mut filters = Vec::new();
    for (index, filter) in file.filters.iter().enumerate() {
        let report = &report.at("filters").at(index);
        if LIST_PARAMETERS.contains(&filter.as_str()) {
            report.error(format!(
                "{filter:?} is a parameter of every list: give the column another name and say \"path\""
            ));
        }
        let found = declared(filter, &columns, report);
        if found
            .as_ref()
            .is_some_and(|(_, column)| column.kind == ColumnKind::Json)
        {
            report.error(format!(
                "{filter:?} is a column of type json, which cannot be filtered: name a column of another type"
            ));
        }
        filters.extend(found.map(|(name, _)| name));
    }
    let mut newest_by = Vec::new();
    for (index, name) in file.newest_by.iter().enumerate() {
        newest_by.extend(timestamp(name, &columns, &report.at("newest_by").at(index)));
    }
    // The checks of the window and of rechecking report names that are not columns.
    let window = file.window.iter().map(|window| &window.column);
    let unfinished = file.reread.iter().filter_map(|reread| reread.unfinished.as_ref());
    if newest_by.is_empty() {
        newest_by.extend(window.clone().cloned());
    }
    let selected_by = window.chain(unfinished.map(|unfinished| &unfinished.column));
    let selected_by = selected_by.cloned().collect();
    let plural = file.plural.clone().unwrap_or_else(|| plural(&file.model));
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !plural.starts_with(|c: char| c.is_ascii_lowercase()) || !plural.chars().all(plain) {
        report
            .at("plural")
            .error("must be lower-case letters, digits and -, because it is part of paths");
    } else if is_reserved_below(&plural) {
        let message = format!(
            "/{plural} below an integration is a route of Trunkline itself: give the model another \"plural\""
        );
        report.at("plural").error(message);
    }
    Some(Model {
        name: name?,
        table: table?,
        plural,
        description: file.description.clone(),
        key: key?.0,
        columns,
        filters,
        newest_by,
        selected_by,
    })
}

pub(super) fn columns(files: IndexMap<String, ColumnFile>, report: &Report<'_>) -> Columns {
    let mut columns = Columns::new();
    for (name, file) in files {
        let report = &report.at(&name);
        if name.starts_with('_') {
            report.error(
                "names that begin with _ are Trunkline's own columns: choose another and say \"path\"",
            );
            continue;
        }
        let spec = ColumnSpec::from(file);
        let column = Column {
            kind: spec.kind,
            parse: parse(&spec, &report.at("parse")),
            path: spec.path.unwrap_or_else(|| vec![name.clone()]),
            description: spec.description,
        };
        if let Some((other, _)) = columns.iter().find(|(_, other)| other.path == column.path) {
            report.warn(format!(
                "reads the same field as the column {other:?}: only the last of them would be filled"
            ));
        }
        if let Some(name) = report.take(name.parse::<TableName>()) {
            columns.insert(name, column);
        }
    }
    columns
}

fn parse(spec: &ColumnSpec, report: &Report<'_>) -> Parse {
    match (spec.kind, spec.parse) {
        (ColumnKind::Timestamp, None) => Parse::Iso8601,
        (ColumnKind::Timestamp, Some(Parse::Plain)) => {
            report.error("a timestamp is written as rfc2822, iso8601, unix_seconds or unix_millis");
            Parse::Plain
        }
        (ColumnKind::Timestamp, Some(parse)) => parse,
        (_, parse) => {
            if parse.is_some_and(|parse| parse != Parse::Plain) {
                report.error(
                    "is only for columns of type timestamp; numbers and booleans as text are always accepted",
                );
            }
            Parse::Plain
        }
    }
}

/// Returns the column of that name, or reports an error.
pub(super) fn declared<'a>(
    name: &str,
    columns: &'a Columns,
    report: &Report<'_>,
) -> Option<(TableName, &'a Column)> {
    let found = columns
        .get_key_value(name)
        .map(|(name, column)| (name.clone(), column));
    if found.is_none() {
        report.error(format!("unknown column {name:?}: declare it under columns"));
    }
    found
}

/// Returns the name of a timestamp column, or reports an error.
pub(super) fn timestamp(name: &str, columns: &Columns, report: &Report<'_>) -> Option<TableName> {
    let (column_name, column) = declared(name, columns, report)?;
    if column.kind != ColumnKind::Timestamp {
        let kind = column.kind.name();
        report.error(format!(
            "{name:?} must be a column of type timestamp; it is {kind}"
        ));
    }
    Some(column_name)
}

/// Returns the plural of a model's name for paths: `Message` messages, `Category` categories, `PhoneNumber` phone-numbers.
///
/// Only regular English plurals; a file sets `plural` for others.
fn plural(model: &str) -> String {
    let mut kebab = String::new();
    for (index, c) in model.chars().enumerate() {
        if c.is_ascii_uppercase() && index > 0 && !kebab.ends_with('-') {
            kebab.push('-');
        }
        kebab.push(if c == '_' { '-' } else { c.to_ascii_lowercase() });
    }
    let stem = kebab
        .strip_suffix('y')
        .filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u']));
    match stem {
        Some(stem) => format!("{stem}ies"),
        None if ["s", "x", "z", "ch", "sh"].iter().any(|end| kebab.ends_with(end)) => format!("{kebab}es"),
        None => format!("{kebab}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::plural;

    #[test]
    fn plurals_are_english_and_fit_into_a_path() {
        for (model, expected) in [
            ("Message", "messages"),
            ("Bounce", "bounces"),
            ("Category", "categories"),
            ("Key", "keys"),
            ("PhoneNumber", "phone-numbers"),
            ("Address", "addresses"),
            ("Inbox", "inboxes"),
            ("Usage_record", "usage-records"),
            ("Branch", "branches"),
        ] {
            assert_eq!(plural(model), expected);
        }
    }
}
