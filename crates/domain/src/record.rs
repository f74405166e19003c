//! A provider's JSON record becomes typed values here, and nowhere else.
//!
//! Reading never fails for an odd field: what does not fit its column leaves the column empty and stays whole in `_extra`
//! beside the fields that the file does not declare. Only a record without its key cannot be kept.

mod cell;
mod dates;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::Hasher;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use xxhash_rust::xxh3::Xxh3;

use self::cell::{Cell, CellSeed, TextSeed, without_nul};
use crate::{Column, Model, Timestamp};

/// The value of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing, or something that did not fit the column.
    Null,
    /// Text; never holds U+0000, which PostgreSQL cannot store: it is replaced by U+FFFD.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// A moment.
    Timestamp(Timestamp),
    /// A decimal in plain notation, digits as the provider sent them (`-0.00750`).
    Decimal(String),
    /// JSON text with sorted keys.
    Json(String),
}

/// One record, ready for its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The value of the model's key column.
    pub key: String,
    /// One value a column, in the model's order; the key's is among them.
    pub values: Vec<Value>,
    /// The fields that no column took, as a JSON object with sorted keys.
    pub extra: Option<String>,
    /// Changes if and only if (but for one chance in 2^64) the values, the extra fields or the model change.
    pub hash: i64,
    /// How many fields did not fit their column.
    pub odd: usize,
}

/// Why a record cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The list holds something that is no object.
    #[error("a record is no JSON object")]
    NotAnObject,
    /// Without a key a record cannot be told from others.
    #[error("a record has no text in its key field {0:?}")]
    NoKey(String),
}

/// Reads records of one model; made once for a model and shared.
#[derive(Debug)]
pub struct RecordReader {
    columns: Vec<Column>,
    key: usize,
    key_field: String,
    /// Columns that stand at the record's top level, by field name.
    flat: HashMap<String, usize, foldhash::fast::RandomState>,
    /// Columns within nested objects, by the name of the outermost.
    nested: HashMap<String, Vec<usize>>,
    seed: u64,
}

impl RecordReader {
    /// A reader for `model`.
    pub fn new(model: &Model) -> Self {
        let mut flat = HashMap::default();
        let mut nested: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, (name, column)) in model.columns.iter().enumerate() {
            match column.path.as_slice() {
                [] => drop(flat.insert(name.as_str().to_owned(), index)),
                [field] => drop(flat.insert(field.clone(), index)),
                [outer, ..] => nested.entry(outer.clone()).or_default().push(index),
            }
        }
        Self {
            columns: model.columns.values().cloned().collect(),
            key: model.key_index(),
            key_field: model.key.as_str().to_owned(),
            flat,
            nested,
            seed: model.fingerprint(),
        }
    }

    /// Reads a record that is already a JSON value.
    pub fn read(&self, record: &Json) -> Result<Record, RecordError> {
        // Deserialising from a `Value` fails only where the seed itself does, which it never does.
        self.deserialize(record).unwrap_or(Err(RecordError::NotAnObject))
    }

    fn place(&self, index: usize, field: &str, cell: Cell<'_>, draft: &mut Draft) {
        let Some(column) = self.columns.get(index) else {
            return;
        };
        match cell.fit(column) {
            Ok(value) => draft.set(index, value),
            Err(odd) => {
                draft.odd += 1;
                draft.extra.insert(field.to_owned(), odd);
            }
        }
    }

    fn place_nested(&self, outer: &str, indexes: &[usize], whole: Json, draft: &mut Draft) {
        for &index in indexes {
            let Some(column) = self.columns.get(index) else {
                continue;
            };
            let inner = column
                .path
                .iter()
                .skip(1)
                .try_fold(&whole, |value, step| value.get(step));
            if let Some(inner) = inner {
                self.place(index, &column.path.join("."), Cell::from(inner.clone()), draft);
            }
        }
        // What the columns did not take is kept; the object is kept whole, for its parts read badly apart.
        draft.extra.insert(outer.to_owned(), whole);
    }

    fn finish(&self, draft: Draft) -> Result<Record, RecordError> {
        let Draft { values, extra, odd } = draft;
        let key = match values.get(self.key) {
            Some(Value::Text(key)) if !key.is_empty() => key.clone(),
            _ => return Err(RecordError::NoKey(self.key_field.clone())),
        };
        let extra = (!extra.is_empty()).then(|| {
            let mut object = Json::Object(extra.into_iter().collect());
            object.sort_all_objects();
            without_nul(object.to_string(), "\\u0000", "\\ufffd")
        });
        let hash = self.hash(&values, extra.as_deref());
        Ok(Record {
            key,
            values,
            extra,
            hash,
            odd,
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
                Value::Integer(value) => text(2, itoa(*value).as_str()),
                Value::Boolean(value) => text(3, if *value { "1" } else { "0" }),
                Value::Timestamp(value) => text(4, itoa(value.as_micros()).as_str()),
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

fn itoa(number: i64) -> String {
    number.to_string()
}

struct Draft {
    values: Vec<Value>,
    extra: BTreeMap<String, Json>,
    odd: usize,
}

impl Draft {
    fn set(&mut self, index: usize, value: Value) {
        if let Some(slot) = self.values.get_mut(index) {
            *slot = value;
        }
    }
}

impl<'de> DeserializeSeed<'de> for &RecordReader {
    type Value = Result<Record, RecordError>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(RecordVisitor(self))
    }
}

struct RecordVisitor<'a>(&'a RecordReader);

impl<'de> Visitor<'de> for RecordVisitor<'_> {
    type Value = Result<Record, RecordError>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let reader = self.0;
        let mut draft = Draft {
            values: vec![Value::Null; reader.columns.len()],
            extra: BTreeMap::new(),
            odd: 0,
        };
        while let Some(field) = map.next_key_seed(TextSeed)? {
            if let Some(&index) = reader.flat.get(field.as_ref()) {
                let cell = map.next_value_seed(CellSeed)?;
                reader.place(index, &field, cell, &mut draft);
            } else if let Some(indexes) = reader.nested.get(field.as_ref()) {
                reader.place_nested(&field, indexes, map.next_value()?, &mut draft);
            } else {
                draft.extra.insert(field.into_owned(), map.next_value()?);
            }
        }
        Ok(reader.finish(draft))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Err(RecordError::NotAnObject))
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Err(RecordError::NotAnObject))
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Err(RecordError::NotAnObject))
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Err(RecordError::NotAnObject))
    }
    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Err(RecordError::NotAnObject))
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Err(RecordError::NotAnObject))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(Err(RecordError::NotAnObject))
    }
}
