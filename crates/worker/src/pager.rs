//! Goes through the pages of a list: reads each, decides what follows it, and keeps the limits on lists that never end.

use std::collections::HashSet;
use std::sync::Arc;

use domain::{Record, Value};
use registry::PageBy;
use store::runs::RunNotes;
use upstream::{End, IncompleteReason, Next, PageInfo, Request, Response};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::context::{Context, Fetched};
use crate::failure::Failure;
use crate::page::{self, Page, PageError};
use crate::writer::PageWrite;

/// Bodies of this many bytes are parsed on a blocking thread, since parsing them would hold up other tasks.
const LARGE: usize = 64 << 10;

/// Returns the hash by which a key is remembered while a list is read: 8 bytes a record.
pub(crate) fn key_hash(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
}

/// A page of a list.
pub(crate) struct ListPage {
    /// Its records, ready to be written. They are good, even if it is unknown what follows the page.
    pub(crate) write: PageWrite,
    /// How many records the list has, if the response says so.
    pub(crate) total: Option<u64>,
    pub(crate) next: Result<NextPage, Failure>,
}

/// What follows a page.
pub(crate) enum NextPage {
    /// The page with this cursor, which can be stored.
    Cursor(String),
    /// Nothing: the list has ended.
    End(End),
    /// A page that this run does not read, since a limit is reached. A later run may continue there.
    Limit { cursor: String, failure: Failure },
}

/// The position in a list that is being read, from its beginning or from a stored cursor.
pub(crate) struct Pager {
    first: Request,
    /// The request for the next page to read.
    at: Request,
    from_beginning: bool,
    pages: u64,
    records: u64,
    /// Empty pages in a row.
    empty: u64,
    cursors: HashSet<u64>,
    /// The pages so far that had records, each by a hash of its keys.
    shown: HashSet<u64>,
    /// The page before.
    previous: Option<u64>,
}

/// Whether a page has the same records in the same order as an earlier page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeats {
    Nothing,
    PageBefore,
    EarlierPage,
}

impl Pager {
    /// A pager for the sync's list with these query parameters; `from` is a stored cursor.
    pub(crate) fn new(
        context: &Context,
        query: &[(String, String)],
        from: Option<&str>,
    ) -> Result<Self, Failure> {
        let request = context.target.list_request(&context.declared.request, query)?;
        let first = upstream::first_page(&context.declared.paginate, request);
        let at = match from {
            Some(cursor) => resume(context, &first, cursor)?,
            None => first.clone(),
        };
        Ok(Self {
            first,
            at,
            from_beginning: from.is_none(),
            pages: 0,
            records: 0,
            empty: 0,
            cursors: from
                .map(|cursor| xxh3_64(cursor.as_bytes()))
                .into_iter()
                .collect(),
            shown: HashSet::new(),
            previous: None,
        })
    }

    /// Returns the request for the next page to read.
    pub(crate) fn request(&self) -> Request {
        self.at.clone()
    }

    /// How many pages it has read.
    pub(crate) fn pages(&self) -> u64 {
        self.pages
    }

    /// Reads the requested page and moves on to what follows it.
    pub(crate) async fn read(&mut self, context: &Context, fetched: Fetched) -> Result<ListPage, Failure> {
        let Fetched { response, requested } = fetched;
        let page = parse(context, &response).await?;
        let next = self.advance(context, &response, &page);
        let write = PageWrite {
            requested,
            notes: RunNotes {
                pages: 1,
                skipped: u64::try_from(page.skipped).unwrap_or(u64::MAX),
                ..RunNotes::default()
            },
            bytes: response.body.len(),
            // The records keep the body's share of the memory budget.
            memory: response.memory,
            records: page.records,
            ..PageWrite::default()
        };
        let total = upstream::list_total(&context.declared.paginate, &page.envelope);
        Ok(ListPage { write, total, next })
    }

    fn advance(&mut self, context: &Context, response: &Response, page: &Page) -> Result<NextPage, Failure> {
        let records = u64::try_from(page.count).unwrap_or(u64::MAX);
        self.pages = self.pages.saturating_add(1);
        self.records = self.records.saturating_add(records);
        self.empty = if records == 0 {
            self.empty.saturating_add(1)
        } else {
            0
        };
        let repeats = self.repeats(page);
        let paginate = &context.declared.paginate;
        let mut newest_last = page.records.iter().rev();
        let last = newest_last.find_map(|record| last_key(context, record));
        let seen = PageInfo {
            envelope: &page.envelope,
            headers: &response.headers,
            records: page.count,
            last_record_key: last.as_deref(),
            pages: self.pages,
            read: self.from_beginning.then_some(self.records),
        };
        let upstream = &context.gateway.upstream;
        let cursor = match upstream.next_page(&context.target, paginate, &self.at, &seen)? {
            Next::Page(cursor) => cursor,
            // The page before had the same records: this is a circle and not the end.
            Next::Again(_) if repeats != Repeats::Nothing => return Err(Failure::PageRepeats),
            Next::Again(_) if self.from_beginning && self.pages == 1 => {
                return Ok(NextPage::End(End::Unproved(IncompleteReason::LeadsToItself)));
            }
            Next::End(end) | Next::Again(end) => return Ok(NextPage::End(end)),
        };
        match (&paginate.by, repeats) {
            (_, Repeats::Nothing) => {}
            // Past its end such a list may show its last page again. A page that is not full proves that it is the last one.
            (PageBy::Offset { .. }, Repeats::PageBefore)
                if paginate.limit.is_some_and(|limit| records < limit) =>
            {
                return Ok(NextPage::End(End::Proved));
            }
            (PageBy::Offset { .. }, _) => {
                return Ok(NextPage::End(End::Unproved(IncompleteReason::SamePage)));
            }
            _ => return Err(Failure::PageRepeats),
        }
        if !self.cursors.insert(xxh3_64(cursor.as_bytes())) {
            return Err(Failure::PageRepeats);
        }
        self.at = resume(context, &self.first, &cursor)?;
        let failure = if self.empty >= context.bounds.empty_pages {
            Failure::EmptyPages { bound: self.empty }
        } else if self.pages >= context.bounds.pages {
            Failure::TooManyPages { bound: self.pages }
        } else {
            return Ok(NextPage::Cursor(cursor));
        };
        Ok(NextPage::Limit { cursor, failure })
    }

    fn repeats(&mut self, page: &Page) -> Repeats {
        let mut hash = Xxh3::new();
        for record in &page.records {
            hash.update(&key_hash(&record.key).to_le_bytes());
        }
        let shown = (!page.records.is_empty()).then(|| hash.digest());
        let before = std::mem::replace(&mut self.previous, shown);
        let Some(keys) = shown else {
            return Repeats::Nothing;
        };
        match (self.shown.insert(keys), before == shown) {
            (true, _) => Repeats::Nothing,
            (false, true) => Repeats::PageBefore,
            (false, false) => Repeats::EarlierPage,
        }
    }
}

/// Parses a page. Parsing stops early if the run is to stop.
async fn parse(context: &Context, response: &Response) -> Result<Page, Failure> {
    let (declared, table) = (Arc::clone(&context.declared), Arc::clone(&context.table));
    let (body, stopping) = (response.body.clone(), context.stopping.clone());
    let parse = move || {
        let kept = declared.paginate.paths();
        page::parse(&body, &declared.records, &kept, &table.reader, &|| {
            stopping.is_cancelled()
        })
    };
    let parsed = if response.body.len() < LARGE {
        parse()
    } else {
        tokio::task::spawn_blocking(parse).await.map_err(Failure::Task)?
    };
    let page = parsed.map_err(|error| match error {
        PageError::Stopped => Failure::Stopping,
        other => Failure::Unreadable(other),
    })?;
    if let Some(reason) = &page.first_skipped {
        tracing::warn!(
            skipped = page.skipped,
            first = %reason,
            "records of a page cannot be stored and were skipped"
        );
    }
    Ok(page)
}

fn resume(context: &Context, first: &Request, cursor: &str) -> Result<Request, Failure> {
    let upstream = &context.gateway.upstream;
    Ok(upstream.page_request(&context.target, &context.declared.paginate, first, cursor)?)
}

/// Returns the value of a record by which the page after it is requested.
fn last_key(context: &Context, record: &Record) -> Option<String> {
    let PageBy::Cursor {
        last_key: Some(field),
        ..
    } = &context.declared.paginate.by
    else {
        return None;
    };
    let model = &context.table.model;
    let index = model
        .columns
        .values()
        .position(|column| column.path.join(".") == *field)?;
    if index == model.key_index()
        && let Some(long) = &record.long_key
    {
        return Some(long.clone());
    }
    match record.values.get(index) {
        Some(Value::Text(text) | Value::Decimal(text)) => Some(text.clone()),
        Some(Value::Integer(number)) => Some(number.to_string()),
        _ => None,
    }
}
