//! Reads a provider's JSON records into typed values.
//!
//! A value that does not fit its column is not an error: the column is null, and `_extra` has the value, together with the fields that
//! the file does not declare. A record without its key, or one that cannot be read, does not affect the others.

mod cell;
mod dates;
mod key;
mod number;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hasher;

use serde_json::Value as Json;
use xxhash_rust::xxh3::Xxh3;

use self::cell::Cell;
pub use self::cell::parse_timestamp;
pub use self::key::{MAX_KEY_BYTES, is_shortened, stored_key};
use crate::json::{JsonError, JsonKind, JsonReader, write_object};
use crate::{Column, Model, Parse, Timestamp};

/// The value of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// No value, or a value that did not fit the column.
    Null,
    /// Text. U+0000, which PostgreSQL cannot store, is replaced by U+FFFD.
    Text(String),
    /// An integer.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// A time.
    Timestamp(Timestamp),
    /// A decimal in plain notation with the digits that the provider sent (`-0.00750`), without leading zeros, and without a sign if it is
    /// zero.
    Decimal(String),
    /// JSON text with sorted keys.
    Json(String),
}

/// A record, ready for its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The value of the model's key column, shortened by [`stored_key`].
    pub key: String,
    /// The whole key, if the stored one is shortened.
    pub long_key: Option<String>,
    /// One value for each column, in the model's order, including the key.
    pub values: Vec<Value>,
    /// The fields without a column, as a JSON object with sorted keys.
    pub extra: Option<String>,
    /// A hash of the values, the extra fields and the model.
    pub hash: i64,
    /// The values that did not fit their column.
    pub misfits: Vec<Misfit>,
}

/// A value that did not fit its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misfit {
    /// The column's index in the model.
    pub column: usize,
    /// What the value is instead, in words; never the value itself.
    pub reason: &'static str,
}

/// Why a record cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is not a JSON object.
    #[error("a record is no JSON object")]
    NotAnObject,
    /// It has no key.
    #[error("a record has no text in its key field {0:?}")]
    NoKey(String),
    /// It is not valid JSON.
    #[error("a record cannot be read: {0}")]
    Unreadable(JsonError),
}

/// Reads records of one model. It is made once for each model and shared.
#[derive(Debug)]
pub struct RecordReader {
    columns: Vec<Column>,
    key: usize,
    key_field: String,
    fields: Fields,
    seed: u64,
}

/// Into which columns a field is read: its own, the last if there are several, and those of the fields inside it.
#[derive(Debug, Default)]
struct Fields {
    column: Option<usize>,
    within: HashMap<String, Fields, foldhash::fast::RandomState>,
}

impl Fields {
    fn add(&mut self, path: &[String], column: usize) {
        match path.split_first() {
            None => self.column = Some(column),
            Some((step, rest)) => self.within.entry(step.clone()).or_default().add(rest, column),
        }
    }

    fn clear(&self, draft: &mut Draft<'_>) {
        if let Some(column) = self.column {
            draft.set(column, Value::Null);
        }
        for field in self.within.values() {
            field.clear(draft);
        }
    }
}

impl RecordReader {
    /// Returns a reader for `model`.
    pub fn new(model: &Model) -> Self {
        let mut fields = Fields::default();
        let mut columns = Vec::new();
        for (index, (name, column)) in model.columns.iter().enumerate() {
            let mut column = column.clone();
            if column.path.is_empty() {
                column.path.push(name.to_string());
            }
            fields.add(&column.path, index);
            columns.push(column);
        }
        Self {
            columns,
            key: model.key_index(),
            key_field: model.key.as_str().to_owned(),
            fields,
            seed: model.fingerprint(),
        }
    }

    /// Returns how many values each record has.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Reads a record that is already a JSON value.
    pub fn read(&self, record: &Json) -> Result<Record, RecordError> {
        let text = record.to_string();
        self.read_next(&mut JsonReader::new(&text))
            .unwrap_or_else(|error| Err(RecordError::Unreadable(error)))
    }

    /// Returns a value of a record as the value of the column with this index, or why it does not fit. `parse` replaces the column's.
    pub fn fit(&self, column: usize, value: &Json, parse: Option<Parse>) -> Result<Value, &'static str> {
        let mut column = self.columns.get(column).cloned().ok_or("of no column")?;
        column.parse = parse.unwrap_or(column.parse);
        let text = value.to_string();
        let cell = Cell::read(&mut JsonReader::new(&text)).map_err(|_| "not readable")?;
        cell.fit(&column)
    }

    /// Makes a record of the values of all columns and the fields without a column. The key is that of the key's column.
    pub fn record_of(&self, values: Vec<Value>, extra: Option<String>) -> Result<Record, RecordError> {
        self.complete(values, extra, Vec::new())
    }

    /// Reads the next record of a list. After an outer error the rest of the list cannot be read.
    pub fn read_next(&self, json: &mut JsonReader<'_>) -> Result<Result<Record, RecordError>, JsonError> {
        let begin = json.position();
        let error = match self.try_read(json) {
            Ok(outcome) => return Ok(outcome),
            Err(error) => error,
        };
        json.rewind(begin);
        json.skip()?;
        Ok(Err(RecordError::Unreadable(error)))
    }

    fn try_read(&self, json: &mut JsonReader<'_>) -> Result<Result<Record, RecordError>, JsonError> {
        match json.kind()? {
            JsonKind::Object => {}
            JsonKind::List => return json.skip().map(|()| Err(RecordError::NotAnObject)),
            JsonKind::Scalar => return json.scalar().map(|_| Err(RecordError::NotAnObject)),
        }
        let mut draft = Draft {
            values: vec![Value::Null; self.columns.len()],
            extra: BTreeMap::new(),
            misfits: Vec::new(),
        };
        json.object(|json, name| {
            let Some(field) = self.fields.within.get(name.as_ref()) else {
                let value = json.copied()?;
                draft.extra.insert(name, value);
                return Ok::<_, JsonError>(());
            };
            if field.within.is_empty() {
                return self.read_field(field, json, &mut draft);
            }
            // The object is also kept whole, since its parts are hard to understand on their own.
            let begin = json.position();
            let whole = json.copied()?;
            draft.extra.insert(name, whole);
            json.rewind(begin);
            field.clear(&mut draft);
            self.read_field(field, json, &mut draft)
        })?;
        Ok(self.finish(draft))
    }

    /// Reads a field into its column, and the fields inside it into theirs.
    fn read_field<'a>(
        &self,
        field: &Fields,
        json: &mut JsonReader<'a>,
        draft: &mut Draft<'a>,
    ) -> Result<(), JsonError> {
        let begin = json.position();
        if let Some(column) = field.column {
            let cell = Cell::read(json)?;
            self.place(column, &cell, draft);
        }
        if field.within.is_empty() {
            return Ok(());
        }
        json.rewind(begin);
        if json.kind()? != JsonKind::Object {
            return json.copied().map(drop);
        }
        json.object(|json, name| match field.within.get(name.as_ref()) {
            Some(inner) => self.read_field(inner, json, draft),
            None => json.skip(),
        })
    }

    fn place(&self, index: usize, cell: &Cell<'_>, draft: &mut Draft<'_>) {
        let Some(column) = self.columns.get(index) else {
            return;
        };
        // The name of a misfit in `_extra`.
        let path = || column.path.join(".");
        // The last of duplicate names counts.
        if draft.misfits.iter().any(|misfit| misfit.column == index) {
            draft.misfits.retain(|misfit| misfit.column != index);
            draft.extra.remove(path().as_str());
        }
        match cell.fit(column) {
            Ok(value) => draft.set(index, value),
            Err(reason) => {
                draft.set(index, Value::Null);
                draft.misfits.push(Misfit {
                    column: index,
                    reason,
                });
                draft.extra.insert(Cow::Owned(path()), cell.to_json());
            }
        }
    }

    fn finish(&self, draft: Draft<'_>) -> Result<Record, RecordError> {
        let Draft {
            values,
            extra,
            misfits,
        } = draft;
        let extra = (!extra.is_empty()).then(|| {
            let mut text = String::new();
            write_object(&mut text, extra.iter());
            text
        });
        self.complete(values, extra, misfits)
    }

    fn complete(
        &self,
        mut values: Vec<Value>,
        extra: Option<String>,
        misfits: Vec<Misfit>,
    ) -> Result<Record, RecordError> {
        let long = match values.get(self.key) {
            Some(Value::Text(key)) if !key.is_empty() => key.clone(),
            _ => return Err(RecordError::NoKey(self.key_field.clone())),
        };
        let (key, long_key) = if is_shortened(&long) {
            (stored_key(&long).into_owned(), Some(long))
        } else {
            (long, None)
        };
        if long_key.is_some()
            && let Some(value) = values.get_mut(self.key)
        {
            *value = Value::Text(key.clone());
        }
        let hash = self.hash(&values, extra.as_deref());
        Ok(Record {
            key,
            long_key,
            values,
            extra,
            hash,
            misfits,
        })
    }

    fn hash(&self, values: &[Value], extra: Option<&str>) -> i64 {
        let mut hasher = Xxh3::with_seed(self.seed);
        let mut text = |tag: u8, text: &str| {
            hasher.write_u8(tag);
            hasher.write(text.as_bytes());
            hasher.write_u8(0);
        };
        for value in values {
            match value {
                Value::Null => text(0, ""),
                Value::Text(value) => text(1, value),
                Value::Integer(value) => text(2, &value.to_string()),
                Value::Boolean(value) => text(3, if *value { "1" } else { "0" }),
                Value::Timestamp(value) => text(4, &value.as_micros().to_string()),
                Value::Decimal(value) => text(5, value),
                Value::Json(value) => text(6, value),
            }
        }
        if let Some(extra) = extra {
            text(7, extra);
        }
        i64::from_ne_bytes(hasher.finish().to_ne_bytes())
    }
}

struct Draft<'a> {
    values: Vec<Value>,
    extra: BTreeMap<Cow<'a, str>, String>,
    misfits: Vec<Misfit>,
}

impl Draft<'_> {
    fn set(&mut self, index: usize, value: Value) {
        if let Some(slot) = self.values.get_mut(index) {
            *slot = value;
        }
    }
}
