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

/// A page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) records: Vec<Record>,
    /// How many elements the list has, including skipped ones.
    pub(crate) count: usize,
    /// How many of them could not be stored.
    pub(crate) skipped: usize,
    /// Why the first of these could not be stored.
    pub(crate) first_skipped: Option<RecordError>,
    /// The values at the wanted paths, in the shape of the response, except that a list is an object by index; a list or object that is
    /// itself wanted is empty.
    pub(crate) envelope: Json,
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

/// Parses `body`, whose records are at `path`, and keeps the values at the paths `kept`. Stops with an error once `stop` returns true; it is
/// called every few records.
///
/// A response without a list is an error and not an empty page, which would mean that all rows are deleted.
pub(crate) fn parse(
    body: &[u8],
    path: &[String],
    kept: &[&[String]],
    reader: &RecordReader,
    stop: &dyn Fn() -> bool,
) -> Result<Page, PageError> {
    let text = json_text(body);
    let mut json = JsonReader::new(&text);
    let mut parser = Parser {
        path,
        reader,
        stop,
        found: false,
        page: Page::default(),
    };
    let envelope = parser.value(&mut json, Some(path), kept)?;
    json.end()?;
    if !parser.found {
        return Err(parser.no_list());
    }
    Ok(Page {
        envelope: envelope.unwrap_or_default(),
        ..parser.page
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
    /// The path of the records.
    path: &'a [String],
    reader: &'a RecordReader,
    stop: &'a dyn Fn() -> bool,
    /// Whether the list of records was found.
    found: bool,
    page: Page,
}

impl Parser<'_> {
    /// Parses a value and returns what is kept of it. `records` is the rest of the path of the records, if it leads through this value;
    /// `kept` has the rests of the paths of the values to keep.
    fn value(
        &mut self,
        json: &mut JsonReader<'_>,
        records: Option<&[String]>,
        kept: &[&[String]],
    ) -> Result<Option<Json>, PageError> {
        if records.is_none() && kept.is_empty() {
            json.skip()?;
            return Ok(None);
        }
        let within =
            |name: &str| -> Vec<&[String]> { kept.iter().filter_map(|path| below(path, name)).collect() };
        let mut inside = Map::new();
        match (json.kind()?, records) {
            (JsonKind::List, Some([])) => {
                self.list(json)?;
                return Ok(Some(Json::Null));
            }
            (JsonKind::Object, None | Some([_, ..])) => json.object(|json, name| {
                let records = records.and_then(|path| below(path, &name));
                let value = self.value(json, records, &within(&name))?;
                inside.extend(value.map(|value| (name.into_owned(), value)));
                Ok::<_, PageError>(())
            })?,
            (_, Some(_)) => return Err(self.no_list()),
            (JsonKind::List, None) => {
                let mut index = 0_usize;
                json.list(|json| {
                    let name = index.to_string();
                    index += 1;
                    let value = self.value(json, None, &within(&name))?;
                    inside.extend(value.map(|value| (name, value)));
                    Ok::<_, PageError>(())
                })?;
                if inside.is_empty() {
                    return Ok(Some(Json::Array(Vec::new())));
                }
            }
            (JsonKind::Scalar, None) => {
                return Ok(Some(match json.scalar()? {
                    JsonScalar::Null => Json::Null,
                    JsonScalar::Bool(value) => value.into(),
                    // The grammar of JSON makes sure that it is a number.
                    JsonScalar::Number(digits) => serde_json::from_str(digits).unwrap_or_default(),
                    JsonScalar::Text(text) => text.into_owned().into(),
                }));
            }
        }
        Ok(Some(Json::Object(inside)))
    }

    fn list(&mut self, json: &mut JsonReader<'_>) -> Result<(), PageError> {
        self.found = true;
        let most = MAX_VALUES
            .checked_div(self.reader.columns())
            .unwrap_or(MAX_VALUES);
        json.list(|json| {
            let page = &mut self.page;
            if page.count.is_multiple_of(256) && (self.stop)() {
                return Err(PageError::Stopped);
            }
            page.count += 1;
            match self.reader.read_next(json)? {
                Ok(_) if page.records.len() >= most => return Err(PageError::TooManyRecords(most)),
                Ok(record) => page.records.push(record),
                Err(error) => {
                    page.skipped += 1;
                    page.first_skipped.get_or_insert(error);
                }
            }
            Ok(())
        })
    }

    fn no_list(&self) -> PageError {
        PageError::NoList(self.path.join("."))
    }
}

/// Returns the rest of a path that begins with `step`.
fn below<'p>(path: &'p [String], step: &str) -> Option<&'p [String]> {
    let (first, rest) = path.split_first()?;
    (first == step).then_some(rest)
}
