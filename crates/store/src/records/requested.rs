//! Decides by change numbers which of two writers of a row has newer data, since clocks may be wrong.

use std::ops::RangeInclusive;

/// When the records of a page were requested, in change numbers of their connection and model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requested {
    /// The last change number before the request was sent. A row with a higher one was written since.
    pub after: i64,
    /// Higher numbers of pages that were requested earlier, so that what they wrote is older all the same.
    pub older: Vec<RangeInclusive<i64>>,
}

impl Requested {
    /// Returns whether a row with this change number is newer than the records, as far as is known.
    pub(super) fn is_older_than(&self, number: i64) -> bool {
        number > self.after && !self.older.iter().any(|range| range.contains(&number))
    }
}
