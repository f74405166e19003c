//! Walking along a list: what comes after a page, and the bounds of a list that never ends.

use std::collections::HashSet;

use domain::{Record, Value};
use registry::PageBy;
use upstream::{Answer, Call, Doubt, End, Next, PageSeen};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::context::Context;
use crate::failure::Failure;
use crate::page::Page;

/// By what a key is remembered while a list is read: 8 bytes a record.
pub(crate) fn key_hash(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
}

/// What comes after a page.
pub(crate) enum Following {
    /// The next page.
    Page {
        /// Its place, to store.
        cursor: String,
        /// The call that reads it.
        call: Box<Call>,
    },
    /// Nothing: the list has ended.
    End(End),
    /// A page that is not read in this run, since a bound is reached. A later run may go on there.
    Bound {
        /// Its place, to store.
        cursor: String,
        /// Which bound it is.
        failure: Failure,
    },
}

/// A walk along one list, from its beginning or from a stored place.
pub(crate) struct Walk {
    first: Call,
    /// The call of the page that is being read.
    at: Call,
    from_beginning: bool,
    pages: u64,
    records: u64,
    /// Empty pages in a row.
    empty: u64,
    cursors: HashSet<u64>,
    /// The pages so far that had records, each by its keys.
    shown: HashSet<u64>,
    /// The page before.
    previous: Option<u64>,
}

/// Whether a page shows records in the very order of an earlier page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeats {
    Nothing,
    PageBefore,
    EarlierPage,
}

impl Walk {
    /// A walk along the sync's list with these parameters; `from` is a stored place.
    pub(crate) fn new(
        context: &Context,
        query: &[(String, String)],
        from: Option<&str>,
    ) -> Result<Self, Failure> {
        let call = context.target.list_call(&context.declared.request, query)?;
        let first = upstream::first_page(&context.declared.paginate, call);
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

    /// The call of the page that is to be read.
    pub(crate) fn call(&self) -> Call {
        self.at.clone()
    }

    /// Pages read in this walk.
    pub(crate) fn pages(&self) -> u64 {
        self.pages
    }

    /// Returns what comes after the page just read, and goes there.
    ///
    /// Whatever this says, the page's records are to be written: they are good even if what stands beside them is not.
    pub(crate) fn step(
        &mut self,
        context: &Context,
        answer: &Answer,
        page: &Page,
    ) -> Result<Following, Failure> {
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
        let last = page
            .records
            .iter()
            .rev()
            .find_map(|record| last_key(context, record));
        let seen = PageSeen {
            envelope: &page.envelope,
            headers: &answer.headers,
            records: page.count,
            last_record_key: last.as_deref(),
            pages: self.pages,
            read: self.from_beginning.then_some(self.records),
        };
        let upstream = context.gateway.upstream();
        let cursor = match upstream.next(&context.target, paginate, &self.at, &seen)? {
            Next::Page(cursor) => cursor,
            // The page before was this one already: this is a circle and no end.
            Next::Again(_) if repeats != Repeats::Nothing => return Err(Failure::PageRepeats),
            Next::Again(_) if self.from_beginning && self.pages == 1 => {
                return Ok(Following::End(End::Unproved(Doubt::LeadsToItself)));
            }
            Next::End(end) | Next::Again(end) => return Ok(Following::End(end)),
        };
        match (&paginate.by, repeats) {
            (_, Repeats::Nothing) => {}
            // Behind its end such a list may show its last page again. A page that is not full proves that it is the last one.
            (PageBy::Offset { .. }, Repeats::PageBefore)
                if paginate.limit.is_some_and(|limit| records < limit) =>
            {
                return Ok(Following::End(End::Proved));
            }
            (PageBy::Offset { .. }, _) => return Ok(Following::End(End::Unproved(Doubt::SamePage))),
            _ => return Err(Failure::PageRepeats),
        }
        if !self.cursors.insert(xxh3_64(cursor.as_bytes())) {
            return Err(Failure::PageRepeats);
        }
        self.at = resume(context, &self.first, &cursor)?;
        let bound = if self.empty >= context.bounds.empty_pages {
            Some(Failure::EmptyPages { bound: self.empty })
        } else if self.pages >= context.bounds.pages {
            Some(Failure::TooManyPages { bound: self.pages })
        } else {
            None
        };
        Ok(match bound {
            Some(failure) => Following::Bound { cursor, failure },
            None => Following::Page {
                cursor,
                call: Box::new(self.at.clone()),
            },
        })
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

fn resume(context: &Context, first: &Call, cursor: &str) -> Result<Call, Failure> {
    let upstream = context.gateway.upstream();
    Ok(upstream.resume(&context.target, &context.declared.paginate, first, cursor)?)
}

/// The value of a record by which the page after it is requested.
fn last_key(context: &Context, record: &Record) -> Option<String> {
    let PageBy::Cursor {
        last_key: Some(field),
        ..
    } = &context.declared.paginate.by
    else {
        return None;
    };
    let columns = &context.table.model.columns;
    let index = columns
        .values()
        .position(|column| column.path.join(".") == *field);
    if let Some(long) = record
        .long_key
        .as_ref()
        .filter(|_| index == Some(context.table.model.key_index()))
    {
        return Some(long.clone());
    }
    match record.values.get(index?) {
        Some(Value::Text(text) | Value::Decimal(text)) => Some(text.clone()),
        Some(Value::Integer(number)) => Some(number.to_string()),
        _ => None,
    }
}
