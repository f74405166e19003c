//! Reads a page of a list: the records straight into rows, the rest as JSON.
//!
//! The records are never held as JSON trees, which would cost more than all else that happens to them here.

use std::fmt;

use domain::{Record, RecordError, RecordReader};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) records: Vec<Record>,
    /// Elements of the list, those that could not be kept among them.
    pub(crate) count: usize,
    /// Why elements could not be kept.
    pub(crate) skipped: Vec<RecordError>,
    /// The answer without its records.
    pub(crate) envelope: Json,
}

/// Reads `body`, whose records stand at `path`.
///
/// An answer without a list there is an error and not an empty page: rows would be taken for deleted.
pub(crate) fn parse(body: &[u8], path: &[String], reader: &RecordReader) -> Result<Page, serde_json::Error> {
    let mut found = Found::default();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let envelope = Level {
        path,
        reader,
        found: &mut found,
    }
    .deserialize(&mut deserializer)?;
    deserializer.end()?;
    if !found.list {
        return Err(Error::custom(format_args!(
            "there is no list at {:?}",
            path.join(".")
        )));
    }
    Ok(Page {
        records: found.records,
        count: found.count,
        skipped: found.skipped,
        envelope,
    })
}

#[derive(Default)]
struct Found {
    list: bool,
    records: Vec<Record>,
    count: usize,
    skipped: Vec<RecordError>,
}

/// What stands at one step of the way to the records.
struct Level<'a> {
    path: &'a [String],
    reader: &'a RecordReader,
    found: &'a mut Found,
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        if self.path.is_empty() {
            deserializer.deserialize_seq(self)
        } else {
            deserializer.deserialize_map(self)
        }
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.path.is_empty() {
            "a list of records"
        } else {
            "an object that holds the records"
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        self.found.list = true;
        while let Some(record) = list.next_element_seed(self.reader)? {
            self.found.count += 1;
            match record {
                Ok(record) => self.found.records.push(record),
                Err(error) => self.found.skipped.push(error),
            }
        }
        Ok(Json::Null)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let Some((step, rest)) = self.path.split_first() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Json::Null);
        };
        let mut envelope = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = if name == *step {
                map.next_value_seed(Level {
                    path: rest,
                    reader: self.reader,
                    found: &mut *self.found,
                })?
            } else {
                map.next_value::<Json>()?
            };
            envelope.insert(name, value);
        }
        Ok(Json::Object(envelope))
    }
}

#[cfg(test)]
mod tests {
    use domain::{Column, ColumnKind, Model, Parse};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn reader() -> RecordReader {
        let column = |field: &str| Column {
            kind: ColumnKind::Text,
            parse: Parse::Plain,
            path: vec![field.to_owned()],
            description: String::new(),
        };
        RecordReader::new(&Model {
            name: "Thing".parse().unwrap(),
            table: "things".parse().unwrap(),
            plural: "things".to_owned(),
            description: String::new(),
            key: "id".parse().unwrap(),
            columns: [("id".parse().unwrap(), column("id"))].into_iter().collect(),
            filters: vec![],
            newest_by: vec![],
            sought_by: vec![],
        })
    }

    fn read(body: &serde_json::Value, path: &[&str]) -> Result<Page, serde_json::Error> {
        let path: Vec<String> = path.iter().map(|&step| step.to_owned()).collect();
        parse(body.to_string().as_bytes(), &path, &reader())
    }

    #[test]
    fn records_are_found_at_any_depth_and_the_rest_is_kept() {
        let page = read(
            &json!({"data": {"items": [{"id": "a"}, {"id": "b"}], "more": true}, "next": "x"}),
            &["data", "items"],
        )
        .unwrap();
        assert_eq!(
            page.records
                .iter()
                .map(|record| record.key.as_str())
                .collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(
            page.envelope,
            json!({"data": {"items": null, "more": true}, "next": "x"})
        );
        assert_eq!(read(&json!([{"id": "a"}]), &[]).unwrap().count, 1);
    }

    #[test]
    fn an_answer_without_the_list_is_no_empty_page() {
        for body in [
            json!({"code": 20500}),
            json!({"items": null}),
            json!({"items": {}}),
            json!([]),
            json!("x"),
        ] {
            assert!(read(&body, &["items"]).is_err(), "{body}");
        }
        assert_eq!(read(&json!({"items": []}), &["items"]).unwrap().count, 0);
    }

    #[test]
    fn what_is_no_record_is_counted_and_the_others_are_kept() {
        let page = read(
            &json!({"items": [{"id": "a"}, 7, {"x": 1}, {"id": "b"}]}),
            &["items"],
        )
        .unwrap();
        assert_eq!((page.count, page.records.len(), page.skipped.len()), (4, 2, 2));
    }

    proptest! {
        #[test]
        fn a_page_cut_anywhere_is_refused(cut in 0usize..44) {
            let whole = json!({"items": [{"id": "a"}, {"id": "b"}], "next": null}).to_string();
            prop_assume!(cut < whole.len());
            prop_assert!(parse(&whole.as_bytes()[..cut], &["items".to_owned()], &reader()).is_err());
        }
    }
}
