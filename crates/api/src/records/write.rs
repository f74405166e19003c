//! Writes rows as JSON, into one buffer, and as CSV.

use std::fmt::Write as _;
use std::io::Write as _;

use domain::{Model, StoredRecord, TableName, Value};
use gateway::RecordPage;
use serde::Serialize;

/// The approximate bytes of a row, by which buffers are sized.
const ROW: usize = 1_024;

/// Writes the rows of one model.
pub(crate) struct RowWriter {
    plural: String,
    /// The text before the value of each column: `{"sid":` for the first, `,"to":` for the others.
    heads: Vec<Vec<u8>>,
}

impl RowWriter {
    pub(crate) fn new(model: &Model) -> Self {
        let head = |(index, name): (usize, &TableName)| {
            // A column's name is letters, digits and underscores: nothing to escape.
            format!("{}\"{name}\":", if index == 0 { '{' } else { ',' }).into_bytes()
        };
        Self {
            plural: model.plural.clone(),
            heads: model.columns.keys().enumerate().map(head).collect(),
        }
    }

    /// Returns a page as JSON.
    pub(crate) fn page(&self, page: &RecordPage) -> Vec<u8> {
        let cursor = page.next_cursor.as_deref();
        json_page(&self.plural, &page.records, cursor, |record, out| {
            self.row(record, out);
        })
    }

    /// Writes a row as a JSON object on one line.
    pub(crate) fn row(&self, record: &StoredRecord, out: &mut Vec<u8>) {
        for (head, value) in self.heads.iter().zip(&record.values) {
            out.extend_from_slice(head);
            json_value(value, out);
        }
        if let Some(extra) = &record.extra {
            out.extend_from_slice(b",\"_extra\":");
            json_line(extra, out);
        }
        out.push(b'}');
    }
}

/// Returns records as a JSON object with a list of that name and the cursor of the next page.
pub(super) fn json_page(
    name: &str,
    records: &[StoredRecord],
    next_cursor: Option<&str>,
    write: impl Fn(&StoredRecord, &mut Vec<u8>),
) -> Vec<u8> {
    let mut out = Vec::with_capacity(records.len().saturating_mul(ROW).saturating_add(64));
    out.push(b'{');
    write_json(name, &mut out);
    out.extend_from_slice(b":[");
    for (index, record) in records.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(record, &mut out);
    }
    out.extend_from_slice(b"],\"next_cursor\":");
    write_json(&next_cursor, &mut out);
    out.push(b'}');
    out
}

/// Returns the first line of a CSV: the names of the columns.
pub(crate) fn csv_header(model: &Model) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv_writer(Vec::new());
    writer.write_record(model.columns.keys().map(TableName::as_str).chain(["_extra"]))?;
    finish(writer)
}

/// Returns rows as lines of CSV (RFC 4180); null is an empty field.
pub(crate) fn csv_rows(records: &[StoredRecord]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv_writer(Vec::with_capacity(records.len() * ROW));
    let mut field = String::new();
    for record in records {
        for value in &record.values {
            field.clear();
            csv_value(value, &mut field);
            writer.write_field(&field)?;
        }
        writer.write_field(record.extra.as_deref().unwrap_or_default())?;
        writer.write_record(None::<&[u8]>)?;
    }
    finish(writer)
}

fn csv_writer(buffer: Vec<u8>) -> csv::Writer<Vec<u8>> {
    csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(buffer)
}

fn finish(writer: csv::Writer<Vec<u8>>) -> Result<Vec<u8>, csv::Error> {
    writer.into_inner().map_err(|error| error.into_error().into())
}

fn csv_value(value: &Value, field: &mut String) {
    // Writing to a string does not fail.
    let _ = match value {
        Value::Null => Ok(()),
        Value::Text(text) | Value::Decimal(text) | Value::Json(text) => field.write_str(text),
        Value::Integer(number) => write!(field, "{number}"),
        Value::Boolean(flag) => write!(field, "{flag}"),
        Value::Timestamp(time) => write!(field, "{time}"),
    };
}

pub(super) fn json_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Text(text) | Value::Decimal(text) => write_json(text, out),
        Value::Integer(number) => write_json(number, out),
        Value::Boolean(flag) => write_json(flag, out),
        // Writing to a vector does not fail.
        Value::Timestamp(time) => drop(write!(out, "\"{time}\"")),
        Value::Json(text) => json_line(text, out),
    }
}

/// Writes a value as JSON. Writing the types used here into a vector cannot fail.
pub(super) fn write_json(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, value);
}

/// Writes stored JSON on one line: inside of its strings line breaks are escaped, so that all others are white space.
fn json_line(json: &str, out: &mut Vec<u8>) {
    out.extend(json.bytes().map(|byte| {
        if byte == b'\n' || byte == b'\r' {
            b' '
        } else {
            byte
        }
    }));
}

#[cfg(test)]
mod tests {
    use domain::{Position, Timestamp};
    use proptest::prelude::*;

    use super::*;

    fn record(values: Vec<Value>, extra: Option<String>) -> StoredRecord {
        let (now, key) = (Timestamp::from_micros(0), "1".to_owned());
        StoredRecord {
            key: key.clone(),
            values,
            extra,
            first_seen_at: now,
            last_modified_at: now,
            deleted_at: None,
            pruned_at: None,
            cursor: 1,
            position: Position { at: None, key },
        }
    }

    /// Texts with what CSV and JSON have a meaning for.
    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            prop::sample::select(vec![
                "",
                "\"",
                "\"\"",
                ",",
                "\r\n",
                "\n",
                "\r",
                "a,\"b\"\r\nc",
                " a ",
                "=1+1",
                "\u{feff}",
                "\\N"
            ])
            .prop_map(str::to_owned),
            any::<String>(),
            "[\",\r\n\t;' a]{0,12}",
        ]
    }

    fn values() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            texts().prop_map(Value::Text),
            texts().prop_map(|text| Value::Json(serde_json::json!([text, { "a": null }]).to_string())),
            "-?[0-9]{1,40}(\\.[0-9]{1,40})?".prop_map(Value::Decimal),
            any::<i64>().prop_map(Value::Integer),
            any::<bool>().prop_map(Value::Boolean),
            (0_i64..4_000_000_000_000_000)
                .prop_map(|micros| Value::Timestamp(Timestamp::from_micros(micros))),
        ]
    }

    proptest! {
        #[test]
        fn csv_has_every_value_as_json_writes_it(
            rows in prop::collection::vec((prop::collection::vec(values(), 4), prop::option::of(texts())), 1..6)
        ) {
            let records: Vec<StoredRecord> = rows.into_iter().map(|(values, extra)| record(values, extra)).collect();
            // After the line of names, as in a response: a reader removes a byte order mark at the beginning of a file.
            let text = [b"a,b,c,d,_extra\r\n".to_vec(), csv_rows(&records).unwrap()].concat();
            let mut reader = csv::Reader::from_reader(text.as_slice());
            let lines: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();

            prop_assert_eq!(lines.len(), records.len());
            for (line, record) in lines.iter().zip(&records) {
                prop_assert_eq!(line.len(), record.values.len() + 1);
                for (field, value) in line.iter().zip(&record.values) {
                    let mut json = Vec::new();
                    json_value(value, &mut json);
                    let json = String::from_utf8(json).unwrap();
                    let wanted = match value {
                        Value::Null => String::new(),
                        Value::Text(_) | Value::Decimal(_) | Value::Timestamp(_) => serde_json::from_str(&json).unwrap(),
                        Value::Json(_) | Value::Integer(_) | Value::Boolean(_) => json,
                    };
                    prop_assert_eq!(field, wanted);
                }
                prop_assert_eq!(line.iter().next_back(), Some(record.extra.as_deref().unwrap_or_default()));
            }
        }
    }
}
