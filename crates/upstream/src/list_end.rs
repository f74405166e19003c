//! Whether a list was read to its end.
//!
//! If the provider's file names a sign of the end (a flag, an empty page, a total), only that sign proves it. Otherwise a missing link or
//! token proves it, the token that was just used, or an empty page of a list by offset.

use http::header::HeaderMap;
use registry::{ListEnd, Paginate};
use serde_json::Value;

use crate::json;

/// A page that was read, and how far the list was read before it. Contains a body, so it has no `Debug`.
#[derive(Clone, Copy)]
pub struct PageInfo<'a> {
    /// The response's body; its records are not used.
    pub envelope: &'a Value,
    /// The response's headers.
    pub headers: &'a HeaderMap,
    /// How many records it held.
    pub records: usize,
    /// The last readable record's value of the field that [`registry::PageBy::Cursor`] names in `last_key`.
    pub last_record_key: Option<&'a str>,
    /// Pages of the list read so far, with this one.
    pub pages: u64,
    /// Records of the list read so far, with those of this page; `None` if the list was not read from its beginning.
    pub read: Option<u64>,
}

/// How a list ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It was read to its end: records that it did not show are not in it.
    Proved,
    /// There is no further page, but nothing proves that this is the end.
    Unproved(IncompleteReason),
}

/// Why a list may be incomplete: nothing proves that it was read to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IncompleteReason {
    /// The last page lacks the sign of the end that the provider's file names.
    #[error("the last page has no readable {0}, by which the provider file tells the end of the list")]
    NoSign(&'static str),
    /// The provider says that there is more, but not how to read it.
    #[error("the last page says that more records follow, but not where")]
    MoreAnnounced,
    /// The list shows fewer records than its total.
    #[error("the list showed {read} records, but its total is {total}")]
    Total {
        /// Records read, with repeated ones.
        read: u64,
        /// Records that the list has, as the last page says.
        total: u64,
    },
    /// The last record of a page lacks the field by which the next page is requested.
    #[error("no record of the last page has a readable {0:?}, by which the next page is requested")]
    NoLastKey(String),
    /// A list by offset shows the records of an earlier page again.
    #[error(
        "a page shows the records of an earlier one, so the provider may ignore the offset, or accept no larger one"
    )]
    SamePage,
    /// The first page names itself as the next one.
    #[error("the first page names itself as the next one")]
    LeadsToItself,
    /// The provider shows no more of one list.
    #[error("the provider shows no more than the first {pages} pages of this list")]
    Cap {
        /// Pages read.
        pages: u64,
    },
}

/// What a page says by the sign of the end that the provider's file names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The file names none.
    Undeclared,
    /// More follows.
    More,
    /// The page lacks the sign, or has something else in its place. Holds the key of the provider's file.
    Missing(&'static str),
    /// This is the end.
    Ended,
}

/// Reads the sign of the end, except for the total. Of several signs an end counts before a missing sign, and that before more; of two
/// missing ones the first counts.
pub(crate) fn sign(end: &ListEnd, page: &PageInfo<'_>) -> Sign {
    let flag = |path: &[String]| json::at(page.envelope, path).and_then(boolean);
    let more = end.unless.as_ref().map(|path| match flag(path) {
        Some(true) => Sign::More,
        Some(false) => Sign::Ended,
        None => Sign::Missing("more_path_in_response"),
    });
    let ended = end.when.as_ref().map(|path| match flag(path) {
        Some(true) => Sign::Ended,
        Some(false) => Sign::More,
        None => Sign::Missing("end_path_in_response"),
    });
    let empty = end.empty_page.then_some(if page.records == 0 {
        Sign::Ended
    } else {
        Sign::More
    });
    let signs = [more, ended, empty].into_iter().flatten();
    let first = signs.min_by_key(|sign| match sign {
        Sign::Ended => 0,
        Sign::Missing(_) => 1,
        Sign::More => 2,
        Sign::Undeclared => 3,
    });
    first.unwrap_or(Sign::Undeclared)
}

/// Returns how many records the whole list has, as this page says.
pub fn list_total(paginate: &Paginate, envelope: &Value) -> Option<u64> {
    match json::at(envelope, paginate.end.total.as_ref()?)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Returns how a list without a further page ended, by what its last page says.
pub(crate) fn end(paginate: &Paginate, sign: Sign, page: &PageInfo<'_>) -> End {
    match sign {
        Sign::More if paginate.end.empty_page && page.records > 0 => {
            return End::Unproved(IncompleteReason::NoSign("empty page"));
        }
        Sign::More => return End::Unproved(IncompleteReason::MoreAnnounced),
        Sign::Missing(key) => return End::Unproved(IncompleteReason::NoSign(key)),
        Sign::Ended | Sign::Undeclared => {}
    }
    if paginate.end.total.is_none() {
        return End::Proved;
    }
    match (list_total(paginate, page.envelope), page.read) {
        (None, _) => End::Unproved(IncompleteReason::NoSign("total_path_in_response")),
        (Some(total), Some(read)) if read < total => End::Unproved(IncompleteReason::Total { read, total }),
        // A list that was not read from its beginning is not counted, and no deletions are derived from it.
        (Some(_), _) => End::Proved,
    }
}

/// Whether as many records were read as the total says.
pub(crate) fn all_read(paginate: &Paginate, page: &PageInfo<'_>) -> bool {
    list_total(paginate, page.envelope)
        .zip(page.read)
        .is_some_and(|(total, read)| read >= total)
}

/// Reads a boolean, which may be a text.
fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}
