//! The model of a sync: its table, columns and key.

use domain::{Column, ColumnKind, Model, ModelName, Parse, TableName};
use indexmap::IndexMap;

use crate::file::{ColumnFile, ColumnParse, ColumnSpec, ColumnType, SyncFile};
use crate::is_reserved_below;
use crate::path::{Path, dotted};
use crate::source::Report;

pub(super) type Columns = IndexMap<TableName, Column>;

/// What every list takes beside a model's own filters.
const LIST_PARAMETERS: [&str; 4] = ["connection_id", "limit", "cursor", "variant"];

pub(super) fn model(
    file: &SyncFile,
    columns: &Columns,
    path: &Path,
    report: &mut Report<'_>,
) -> Option<Model> {
    let name = report.take(&path.at("model"), file.model.parse::<ModelName>());
    let table = report.take(&path.at("table"), file.table.parse::<TableName>());
    if file.table.contains("__") {
        report.error(
            &path.at("table"),
            "must not hold two _ in a row: that is how the tables of variants are named",
        );
    }
    let key = declared(&file.key, columns, &path.at("key"), report);
    if let Some((_, column)) = key.as_ref().filter(|(_, column)| column.kind != ColumnKind::Text) {
        report.error(
            &path.at("key"),
            format!(
                "the key column must be of type text; {:?} is {}",
                file.key,
                word(column.kind)
            ),
        );
    }
    let mut filters = Vec::new();
    for (index, filter) in file.filters.iter().enumerate() {
        if LIST_PARAMETERS.contains(&filter.as_str()) {
            report.error(
                &path.at("filters").at(index),
                format!(
                    "{filter:?} is a parameter of every list: give the column another name and say \"path\""
                ),
            );
        }
        let found = declared(filter, columns, &path.at("filters").at(index), report);
        if found
            .as_ref()
            .is_some_and(|(_, column)| column.kind == ColumnKind::Json)
        {
            report.error(
                &path.at("filters").at(index),
                format!("{filter:?} is a column of type json, which cannot be filtered: name a column of another type"),
            );
        }
        filters.extend(found.map(|(name, _)| name));
    }
    let mut newest_by = Vec::new();
    match (&file.newest_by, &file.window) {
        (Some(names), _) => {
            for (index, name) in names.0.iter().enumerate() {
                newest_by.extend(timestamp(name, columns, &path.at("newest_by").at(index), report));
            }
        }
        // The window's own check tells if it is none.
        (None, Some(window)) => newest_by.extend(
            columns
                .get_key_value(window.column.as_str())
                .map(|(name, _)| name.clone()),
        ),
        (None, None) => {}
    }
    // Whether they are columns is told where the window and the rereading are checked.
    let window = file.window.iter().map(|window| window.column.as_str());
    let reread = file
        .reread
        .iter()
        .flat_map(|reread| reread.condition.keys().map(String::as_str));
    let sought_by = window
        .chain(reread)
        .filter_map(|name| columns.get_key_value(name).map(|(name, _)| name.clone()))
        .collect();
    let plural = file.plural.clone().unwrap_or_else(|| plural(&file.model));
    if !plural.starts_with(|c: char| c.is_ascii_lowercase())
        || !plural
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    {
        report.error(
            &path.at("plural"),
            "must be lower-case letters, digits and -, since it stands in paths",
        );
    } else if is_reserved_below(&plural) {
        let message = format!(
            "/{plural} below an integration is a route of Trunkline itself: give the model another \"plural\""
        );
        report.error(&path.at("plural"), message);
    }
    let key = key?.0.clone();
    let (description, columns) = (file.description.clone(), columns.clone());
    Some(Model {
        name: name?,
        table: table?,
        plural,
        description,
        key,
        columns,
        filters,
        newest_by,
        sought_by,
    })
}

pub(super) fn columns(files: &IndexMap<String, ColumnFile>, path: &Path, report: &mut Report<'_>) -> Columns {
    let mut columns = Columns::new();
    for (name, file) in files {
        let path = path.at(name);
        if name.starts_with('_') {
            report.error(
                &path,
                "names that begin with _ are Trunkline's own columns: choose another and say \"path\"",
            );
            continue;
        }
        let (kind, spec) = match file {
            ColumnFile::Short(kind) => (*kind, None),
            ColumnFile::Long(spec) => (spec.kind, Some(spec)),
        };
        let column = Column {
            kind: match kind {
                ColumnType::Text => ColumnKind::Text,
                ColumnType::Integer => ColumnKind::Integer,
                ColumnType::Boolean => ColumnKind::Boolean,
                ColumnType::Timestamp => ColumnKind::Timestamp,
                ColumnType::Decimal => ColumnKind::Decimal,
                ColumnType::Json => ColumnKind::Json,
            },
            parse: parse(kind, spec.and_then(|spec| spec.parse), &path, report),
            path: spec
                .and_then(|spec: &ColumnSpec| spec.path.as_deref())
                .map_or_else(|| vec![name.clone()], dotted),
            description: spec.map(|spec| spec.description.clone()).unwrap_or_default(),
        };
        if let Some((other, _)) = columns.iter().find(|(_, other)| other.path == column.path) {
            report.warn(
                &path,
                format!(
                    "reads the same field as the column {other:?}: only the last of them would be filled"
                ),
            );
        }
        if let Some(name) = report.take(&path, name.parse::<TableName>()) {
            columns.insert(name, column);
        }
    }
    columns
}

fn parse(kind: ColumnType, parse: Option<ColumnParse>, path: &Path, report: &mut Report<'_>) -> Parse {
    match (kind == ColumnType::Timestamp, parse) {
        (false, None | Some(ColumnParse::Plain)) => Parse::Plain,
        (false, Some(_)) => {
            let message =
                "is for columns of type timestamp alone: numbers and booleans as text are understood anyway";
            report.error(&path.at("parse"), message);
            Parse::Plain
        }
        (true, Some(ColumnParse::Plain)) => {
            let message = "a timestamp is written as rfc2822, iso8601, unix_seconds or unix_millis";
            report.error(&path.at("parse"), message);
            Parse::Iso8601
        }
        (true, None | Some(ColumnParse::Iso8601)) => Parse::Iso8601,
        (true, Some(ColumnParse::Rfc2822)) => Parse::Rfc2822,
        (true, Some(ColumnParse::UnixSeconds)) => Parse::UnixSeconds,
        (true, Some(ColumnParse::UnixMillis)) => Parse::UnixMillis,
    }
}

/// The column of that name, or an error at `path`.
pub(super) fn declared<'a>(
    name: &str,
    columns: &'a Columns,
    path: &Path,
    report: &mut Report<'_>,
) -> Option<(TableName, &'a Column)> {
    let found = columns
        .get_key_value(name)
        .map(|(name, column)| (name.clone(), column));
    if found.is_none() {
        report.error(
            path,
            format!("there is no column {name:?}: declare it under columns"),
        );
    }
    found
}

/// The timestamp column of that name, or an error at `path`.
pub(super) fn timestamp(
    name: &str,
    columns: &Columns,
    path: &Path,
    report: &mut Report<'_>,
) -> Option<TableName> {
    let (column_name, column) = declared(name, columns, path, report)?;
    if column.kind != ColumnKind::Timestamp {
        report.error(
            path,
            format!(
                "{name:?} must be a column of type timestamp; it is {}",
                word(column.kind)
            ),
        );
    }
    Some(column_name)
}

fn word(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => "text",
        ColumnKind::Integer => "integer",
        ColumnKind::Boolean => "boolean",
        ColumnKind::Timestamp => "timestamp",
        ColumnKind::Decimal => "decimal",
        ColumnKind::Json => "json",
    }
}

/// How several of a model are called in paths: `Message` messages, `Category` categories, `PhoneNumber` phone-numbers.
///
/// English alone, and no irregular words: a file says `plural` for those.
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
