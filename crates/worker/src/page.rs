//! Reads a page of a list: the records straight into rows, and of the rest what paging needs.
//!
//! Neither is ever held as a tree of JSON values, which takes thirty times the memory of the text. A record that cannot be read
//! costs no other.

#[cfg(test)]
mod tests;

use domain::{JsonError, JsonKind, JsonReader, JsonScalar, Record, RecordError, RecordReader, json_text};
use serde_json::{Map, Value as Json};

/// Values of a page at most: a record takes memory for all columns of its model, whatever it holds.
const MAX_VALUES: usize = 10_000_000;
/// A place in a list within the envelope is looked for up to this index.
const MAX_INDEX: usize = 100;

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) records: Vec<Record>,
    /// Elements of the list, those that could not be kept among them.
    pub(crate) count: usize,
    /// Elements that could not be kept.
    pub(crate) skipped: Skipped,
    /// What the wanted paths hold, in the shape of the response. A list or object there is kept empty.
    pub(crate) envelope: Json,
}

/// Elements of a list that could not be kept.
#[derive(Debug, Default)]
pub(crate) struct Skipped {
    count: usize,
    /// Why the first of them could not be kept.
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

/// Why a page cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PageError {
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error("there is no list at {0:?}")]
    NoList(String),
    #[error("the list has more than {0} records: ask for fewer in a page")]
    TooManyRecords(usize),
    #[error("there is no record at {0:?}")]
    NoRecord(String),
    #[error(transparent)]
    Record(RecordError),
    #[error("the process is stopping")]
    Stopped,
}

/// Where things stand in a response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout<'a> {
    /// The records.
    pub(crate) records: &'a [String],
    /// What is kept of the rest.
    pub(crate) kept: &'a [&'a [String]],
}

/// Reads `body`. Gives up when `stop` says so, which is asked every few records.
///
/// A response without a list is an error and not an empty page: rows would be taken for deleted.
pub(crate) fn parse(
    body: &[u8],
    layout: Layout<'_>,
    reader: &RecordReader,
    stop: &dyn Fn() -> bool,
) -> Result<Page, PageError> {
    let text = json_text(body);
    let mut json = JsonReader::new(&text);
    let mut walk = Walk {
        path: layout.records,
        reader,
        stop,
        found: false,
        records: Vec::new(),
        count: 0,
        skipped: Skipped::default(),
    };
    let envelope = walk.level(&mut json, layout.records, layout.kept)?;
    json.end()?;
    if !walk.found {
        return Err(walk.no_list());
    }
    Ok(Page {
        records: walk.records,
        count: walk.count,
        skipped: walk.skipped,
        envelope,
    })
}

/// Reads the record that stands at `path` of `body`, the last if there are several.
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

struct Walk<'a> {
    path: &'a [String],
    reader: &'a RecordReader,
    stop: &'a dyn Fn() -> bool,
    found: bool,
    records: Vec<Record>,
    count: usize,
    skipped: Skipped,
}

impl Walk<'_> {
    /// Reads what stands at one step of the way to the records.
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

/// The rest of those paths that begin with `step`.
fn below<'p>(paths: &[&'p [String]], step: &str) -> Vec<&'p [String]> {
    paths
        .iter()
        .filter_map(|path| path.split_first())
        .filter(|(first, _)| *first == step)
        .map(|(_, rest)| rest)
        .collect()
}

/// Reads a value and keeps what the paths name of it.
fn keep(json: &mut JsonReader<'_>, paths: &[&[String]]) -> Result<Option<Json>, JsonError> {
    if paths.is_empty() {
        json.skip()?;
        return Ok(None);
    }
    Ok(Some(match json.kind()? {
        JsonKind::Scalar => match json.scalar()? {
            JsonScalar::Null => Json::Null,
            JsonScalar::Bool(value) => value.into(),
            // It is a number by the grammar of JSON.
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
