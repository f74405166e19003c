//! Walking along a list: what comes after a page, and noticing a walk that would never end.

use std::collections::HashSet;

use domain::{Record, Value};
use registry::Paginate;
use upstream::{Answer, Call, Next, PageSeen};
use xxhash_rust::xxh3::xxh3_64;

use crate::context::Context;
use crate::failure::Failure;
use crate::page::Page;

/// By what a key is remembered while a slice is read: 8 bytes a record.
pub(crate) fn key_hash(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
}

/// What the provider says comes after a page.
pub(crate) fn next_page(context: &Context, at: &Call, answer: &Answer, page: &Page) -> Result<Next, Failure> {
    let last = page.records.last().and_then(|record| last_key(context, record));
    let seen = PageSeen {
        envelope: &page.envelope,
        headers: &answer.headers,
        records: page.count,
        last_record_key: last.as_deref(),
    };
    Ok(context
        .gateway
        .upstream()
        .next(&context.target, &context.declared.paginate, at, &seen)?)
}

/// The value of the last record that the next page is asked for by.
fn last_key(context: &Context, record: &Record) -> Option<String> {
    let Paginate::Cursor {
        last_key: Some(field),
        ..
    } = &context.declared.paginate
    else {
        return None;
    };
    let columns = &context.table.model.columns;
    let index = columns
        .values()
        .position(|column| column.path.join(".") == *field);
    match record.values.get(index?) {
        Some(Value::Text(text) | Value::Decimal(text)) => Some(text.clone()),
        Some(Value::Integer(number)) => Some(number.to_string()),
        _ => None,
    }
}

/// Notices a list that does not end: a page that names one before it as its next, or that is the page before once more.
#[derive(Debug, Default)]
pub(crate) struct LoopGuard {
    cursors: HashSet<u64>,
    last: Option<(u64, u64, usize)>,
}

impl LoopGuard {
    pub(crate) fn check(&mut self, next: &Next, page: &Page) -> Result<(), Failure> {
        if let Next::Page(cursor) = next
            && !self.cursors.insert(xxh3_64(cursor.as_bytes()))
        {
            return Err(Failure::PageRepeats);
        }
        let shown = page.records.first().zip(page.records.last());
        let shown =
            shown.map(|(first, last)| (key_hash(&first.key), key_hash(&last.key), page.records.len()));
        if shown.is_some() && shown == self.last {
            return Err(Failure::PageRepeats);
        }
        self.last = shown;
        Ok(())
    }
}
