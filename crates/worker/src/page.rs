//! Parses a page of a list: the records straight into typed values, and of the rest what paging needs.
//!
//! Neither ever becomes a tree of JSON values, which takes thirty times the memory of the text. A record that cannot be read does not
//! affect the others.

#[cfg(test)]
mod tests;

use domain::{JsonError, JsonKind, JsonReader, JsonScalar, Record, RecordError, RecordReader, json_text};
use serde_json::{Map, Value as Json};

/// The most values in a page: a record takes memory for all columns of its model, even if they are empty.
const MAX_VALUES: usize = 10_000_000;
/// The highest index of a list within the envelope that a path may name.
const MAX_INDEX: usize = 100;

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) records: Vec<Record>,
    /// How many elements the list has, including skipped ones.
    pub(crate) count: usize,
    /// The elements that could not be stored.
    pub(crate) skipped: Skipped,
    /// The values at the wanted paths, in the shape of the response. A list or object there is empty.
    pub(crate) envelope: Json,
}

/// The elements of a list that could not be stored.
#[derive(Debug, Default)]
pub(crate) struct Skipped {
    count: usize,
    /// Why the first of them could not be stored.
    pub(crate) first: Option<RecordError>,
}

impl Skipped {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    fn add(&mut self, error: RecordError) {
        self.count += 1;
        self.first.get_or_insert(error);
    }
}

/// Why a page cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PageError {
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error("the response has no list at {0:?}")]
    NoList(String),
    #[error("the list has more than {0} records: request smaller pages")]
    TooManyRecords(usize),
    #[error("the response has no record at {0:?}")]
    NoRecord(String),
    #[error(transparent)]
    Record(RecordError),
    #[error("the process is stopping")]
    Stopped,
}

/// The paths of a response's parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout<'a> {
    /// The path of the records.
    pub(crate) records: &'a [String],
    /// The paths of the values to keep.
    pub(crate) kept: &'a [&'a [String]],
}

/// Parses `body`. Stops with an error once `stop` returns true; it is called every few records.
///
/// A response without a list is an error and not an empty page, which would mean that all rows are deleted.
pub(crate) fn parse(
    body: &[u8],
    layout: Layout<'_>,
    reader: &RecordReader,
    stop: &dyn Fn() -> bool,
) -> Result<Page, PageError> {
    let text = json_text(body);
    let mut json = JsonReader::new(&text);
    let mut parser = Parser {
        path: layout.records,
        reader,
        stop,
        found: false,
        records: Vec::new(),
        count: 0,
        skipped: Skipped::default(),
    };
    let envelope = parser.level(&mut json, layout.records, layout.kept)?;
    json.end()?;
    if !parser.found {
        return Err(parser.no_list());
    }
    Ok(Page {
        records: parser.records,
        count: parser.count,
        skipped: parser.skipped,
        envelope,
    })
}

/// Parses the record at `path` of `body`, the last if there are several.
pub(crate) fn parse_record(
    body: &[u8],
    path: &[String],
    reader: &RecordReader,
) -> Result<Result<Record, RecordError>, PageError> {
    fn find(
        json: &mut JsonReader<'_>,
        path: &[String],
        reader: &RecordReader,
        found: &mut Option<Result<Record, RecordError>>,
    ) -> Result<(), JsonError> {
        let Some((step, rest)) = path.split_first() else {
            *found = Some(reader.read_next(json)?);
            return Ok(());
        };
        if json.kind()? != JsonKind::Object {
            return json.skip();
        }
        json.object(|json, name| {
            if name == *step {
                find(json, rest, reader, found)
            } else {
                json.skip()
            }
        })
    }
    let text = json_text(body);
    let mut json = JsonReader::new(&text);
    let mut found = None;
    find(&mut json, path, reader, &mut found)?;
    json.end()?;
    found.ok_or_else(|| PageError::NoRecord(path.join(".")))
}

struct Parser<'a> {
    path: &'a [String],
    reader: &'a RecordReader,
    stop: &'a dyn Fn() -> bool,
    found: bool,
    records: Vec<Record>,
    count: usize,
    skipped: Skipped,
}

impl Parser<'_> {
    /// Parses one level of the path to the records.
    fn level(
        &mut self,
        json: &mut JsonReader<'_>,
        path: &[String],
        kept: &[&[String]],
    ) -> Result<Json, PageError> {
        match (json.kind()?, path.split_first()) {
            (JsonKind::List, None) => {
                self.list(json)?;
                Ok(Json::Null)
            }
            (JsonKind::Object, Some((step, rest))) => {
                let mut envelope = Map::new();
                json.object(|json, name| {
                    let within = below(kept, &name);
                    let value = if name == *step {
                        Some(self.level(json, rest, &within)?)
                    } else {
                        keep(json, &within)?
                    };
                    envelope.extend(value.map(|value| (name.into_owned(), value)));
                    Ok::<_, PageError>(())
                })?;
                Ok(Json::Object(envelope))
            }
            _ => Err(self.no_list()),
        }
    }

    fn list(&mut self, json: &mut JsonReader<'_>) -> Result<(), PageError> {
        self.found = true;
        let most = MAX_VALUES
            .checked_div(self.reader.columns())
            .unwrap_or(MAX_VALUES);
        json.list(|json| {
            if self.count.is_multiple_of(256) && (self.stop)() {
                return Err(PageError::Stopped);
            }
            self.count += 1;
            match self.reader.read_next(json)? {
                Ok(_) if self.records.len() >= most => return Err(PageError::TooManyRecords(most)),
                Ok(record) => self.records.push(record),
                Err(error) => self.skipped.add(error),
            }
            Ok(())
        })
    }

    fn no_list(&self) -> PageError {
        PageError::NoList(self.path.join("."))
    }
}

/// Returns the rest of those paths that begin with `step`.
fn below<'p>(paths: &[&'p [String]], step: &str) -> Vec<&'p [String]> {
    paths
        .iter()
        .filter_map(|path| path.split_first())
        .filter(|(first, _)| *first == step)
        .map(|(_, rest)| rest)
        .collect()
}

/// Parses a value and keeps the parts that the paths name.
fn keep(json: &mut JsonReader<'_>, paths: &[&[String]]) -> Result<Option<Json>, JsonError> {
    if paths.is_empty() {
        json.skip()?;
        return Ok(None);
    }
    Ok(Some(match json.kind()? {
        JsonKind::Scalar => match json.scalar()? {
            JsonScalar::Null => Json::Null,
            JsonScalar::Bool(value) => value.into(),
            // The grammar of JSON makes sure that it is a number.
            JsonScalar::Number(digits) => serde_json::from_str(digits).unwrap_or_default(),
            JsonScalar::Text(text) => text.into_owned().into(),
        },
        JsonKind::Object => {
            let mut object = Map::new();
            json.object(|json, name| {
                let value = keep(json, &below(paths, &name))?;
                object.extend(value.map(|value| (name.into_owned(), value)));
                Ok::<_, JsonError>(())
            })?;
            Json::Object(object)
        }
        JsonKind::List => {
            let (mut list, mut index) = (Vec::new(), 0);
            let last = paths
                .iter()
                .filter_map(|path| path.first()?.parse().ok())
                .max()
                .unwrap_or(0)
                .min(MAX_INDEX);
            json.list(|json| {
                let value = keep(json, &below(paths, &index.to_string()))?;
                if index <= last {
                    list.push(value.unwrap_or_default());
                }
                index += 1;
                Ok::<_, JsonError>(())
            })?;
            Json::Array(list)
        }
    }))
}
