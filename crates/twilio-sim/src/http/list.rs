//! `GET …/Messages.json`: a page, its links, and its keyset anchor.

use url::form_urlencoded;

use crate::faults::Faults;
use crate::filter::{BadQuery, ListQuery};
use crate::http::malformed;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::iterate::ALWAYS;
use crate::message_store::{Key, MessageStore};
use crate::random::{chance, draw};
use crate::row::Row;
use crate::shared::Shared;
use crate::writer::{write_number, write_row};

/// Bytes to reserve for each message.
const ROOM: usize = 1100;

/// The direction of a page token.
#[derive(Debug, Clone, Copy)]
enum Anchor {
    Top,
    Below(Key),
    Above(Key),
}

/// Returns a page.
pub(crate) fn list(
    shared: &Shared,
    request: &ApiRequest,
    account: &str,
    faults: &Faults,
) -> Result<ApiResponse, ApiError> {
    let (store, now) = shared.read_of(account);
    let oldest = store.oldest_filter(now);
    let query =
        ListQuery::parse(&request.query, faults.time_ignored, oldest).map_err(|bad| refuse(bad, shared))?;
    if faults.max_page_size.is_some_and(|most| query.page_size > most) {
        return Err(ApiError::new(500, 20500, "An internal server error has occurred"));
    }
    let anchor = anchor(&store, &query, faults, now)?;
    let page = Page {
        shared,
        store: &store,
        query: &query,
        faults,
        now,
    };
    Ok(page.write(anchor))
}

fn refuse(bad: BadQuery, shared: &Shared) -> ApiError {
    match bad {
        BadQuery::Date(value) => ApiError::bad(20001, format!("Invalid date value: '{value}'")),
        BadQuery::PageSize(value) => ApiError::bad(
            20001,
            format!("Page size must be between 1 and 1000, not '{value}'"),
        ),
        BadQuery::Page(value) => ApiError::bad(20001, format!("Page number '{value}' is out of range")),
        BadQuery::TokenMissing => ApiError::bad(20001, "PageToken is required for paging."),
        // Twilio documents no code for this, so it gets the code of other invalid parameters.
        BadQuery::Retention => ApiError::bad(
            20001,
            format!(
                "Date range specified in query is partially or entirely outside of retention window of {} days",
                shared.retention_days
            ),
        ),
    }
}

fn anchor(store: &MessageStore, query: &ListQuery, faults: &Faults, now: i64) -> Result<Anchor, ApiError> {
    let Some(token) = &query.token else {
        return Ok(Anchor::Top);
    };
    let invalid = || ApiError::bad(21481, "Invalid PageToken");
    let sid = token
        .strip_prefix("PA")
        .or_else(|| token.strip_prefix("PB"))
        .ok_or_else(invalid)?;
    let rank = store.rank(sid, now).ok_or_else(invalid)?;
    if faults.strict_anchor && store.deleted.contains(&rank) {
        return Err(invalid());
    }
    let key = store.key(rank).ok_or_else(invalid)?;
    Ok(if token.starts_with("PB") {
        Anchor::Above(key)
    } else {
        Anchor::Below(key)
    })
}

struct Page<'a> {
    shared: &'a Shared,
    store: &'a MessageStore,
    query: &'a ListQuery,
    faults: &'a Faults,
    now: i64,
}

impl Page<'_> {
    fn write(&self, anchor: Anchor) -> ApiResponse {
        let size = usize::try_from(self.query.page_size).unwrap_or(1000);
        let period = self.query.sent.unwrap_or(ALWAYS);
        let (rows, more) = match anchor {
            Anchor::Top => self.collect(self.store.newest_first(period, None, self.now), size),
            Anchor::Below(key) => self.collect(self.store.newest_first(period, Some(key), self.now), size),
            Anchor::Above(key) => {
                let (mut rows, _) = self.collect(self.store.oldest_first(period, Some(key), self.now), size);
                rows.reverse();
                (rows, true)
            }
        };
        let more = more || (self.faults.empty_last_page && rows.len() == size);
        ApiResponse::json(200, self.envelope(&rows, more))
    }

    /// Returns the next `size` messages that pass the filters, and whether more follow.
    fn collect(&self, keys: impl Iterator<Item = Key>, size: usize) -> (Vec<(Key, Row<'_>)>, bool) {
        let dated = self.query.sent.is_some() && !self.faults.undated_in_filters;
        let mut passing = keys
            .filter_map(|key| self.store.row_at(key, self.now).map(|row| (key, row)))
            .filter(|(_, row)| self.passes(row, dated));
        let mut taken = Vec::with_capacity(size);
        taken.extend(passing.by_ref().take(size));
        let more = taken.len() == size && passing.next().is_some();
        (taken, more)
    }

    fn passes(&self, row: &Row<'_>, dated: bool) -> bool {
        let to = self.query.to.as_deref().is_none_or(|to| row.to.is(to));
        let from = self
            .query
            .from
            .as_deref()
            .is_none_or(|from| row.from.is_some_and(|own| own.is(from)));
        to && from && (!dated || row.sent.is_some())
    }

    fn write_record(&self, out: &mut Vec<u8>, key: Key, row: &Row<'_>) {
        let bits = draw(self.shared.seed, key.1, 0x0DD);
        if chance(bits, self.faults.bad_fields) {
            out.extend_from_slice(&malformed::make_malformed(&row.to_message(), bits));
        } else {
            write_row(out, row);
        }
    }

    fn envelope(&self, rows: &[(Key, Row<'_>)], more: bool) -> Vec<u8> {
        let page = self.query.page;
        let size = u64::from(self.query.page_size);
        let count = u64::try_from(rows.len()).unwrap_or(0);
        let start = page.saturating_mul(size);
        let own = self.uri(page, self.query.token.as_deref());
        let next = if self.faults.repeat_page {
            Some(own.clone())
        } else {
            let last = rows
                .last()
                .filter(|_| more)
                .map(|(_, row)| format!("PA{}", row.sid()));
            last.map(|token| self.uri(page.saturating_add(1), Some(&token)))
        };
        let next = next.map(|uri| match &self.faults.foreign_next_link {
            Some(origin) => format!("{}{uri}", origin.trim_end_matches('/')),
            None => uri,
        });
        let first = rows
            .first()
            .filter(|_| page > 0)
            .map(|(_, row)| format!("PB{}", row.sid()));
        let previous = first.map(|token| self.uri(page - 1, Some(&token)));

        let mut out = Vec::with_capacity(rows.len() * ROOM + 2048);
        write_link(&mut out, b"{\"first_page_uri\":", Some(&self.uri(0, None)));
        out.extend_from_slice(b",\"end\":");
        write_number(&mut out, start.saturating_add(count).saturating_sub(1).max(start));
        write_link(&mut out, b",\"previous_page_uri\":", previous.as_deref());
        out.extend_from_slice(b",\"messages\":[");
        for (index, (key, row)) in rows.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.write_record(&mut out, *key, row);
        }
        write_link(&mut out, b"],\"uri\":", Some(&own));
        out.extend_from_slice(b",\"page_size\":");
        write_number(&mut out, size);
        out.extend_from_slice(b",\"start\":");
        write_number(&mut out, start);
        write_link(&mut out, b",\"next_page_uri\":", next.as_deref());
        out.extend_from_slice(b",\"page\":");
        write_number(&mut out, page);
        out.push(b'}');
        out
    }

    fn uri(&self, page: u64, token: Option<&str>) -> String {
        let (account, echo, size) = (&self.store.account, &self.query.echo, self.query.page_size);
        let mut uri =
            format!("/2010-04-01/Accounts/{account}/Messages.json?{echo}PageSize={size}&Page={page}");
        if let Some(token) = token {
            uri.push_str("&PageToken=");
            uri.extend(form_urlencoded::byte_serialize(token.as_bytes()));
        }
        uri
    }
}

/// Writes a link. Links need no JSON escapes: everything except a foreign origin is percent-encoded.
fn write_link(out: &mut Vec<u8>, name: &[u8], link: Option<&str>) {
    out.extend_from_slice(name);
    let quoted = serde_json::to_vec(&link).unwrap_or_default();
    out.extend_from_slice(&quoted);
}
