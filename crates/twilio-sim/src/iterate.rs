//! Iterates over messages in chronological order. It lazily merges generated messages with inserted and moved ones.

use std::iter::Peekable;

use crate::filter::Period;
use crate::message_store::{Key, MessageStore};

/// A period without bounds.
pub(crate) const ALWAYS: Period = Period {
    first: i64::MIN,
    last: i64::MAX,
};

impl MessageStore {
    /// Iterates over the live messages of a period below `anchor`, newest first.
    pub(crate) fn newest_first(
        &self,
        period: Period,
        anchor: Option<Key>,
        now: i64,
    ) -> impl Iterator<Item = Key> {
        let lower = self.lowest(period, now);
        let upper = anchor.map_or(above(period), |anchor| anchor.min(above(period)));
        let base = self
            .base_ranks(lower, upper)
            .rev()
            .map(|rank| (self.calendar.time_of(rank), rank));
        let stored = (lower < upper)
            .then(|| self.order.range(lower..upper).rev().copied())
            .into_iter()
            .flatten();
        self.live(merge(base, stored, |left, right| left > right))
    }

    /// Iterates over the live messages of a period above `anchor`, oldest first.
    pub(crate) fn oldest_first(
        &self,
        period: Period,
        anchor: Option<Key>,
        now: i64,
    ) -> impl Iterator<Item = Key> {
        let lowest = self.lowest(period, now);
        let lower = anchor.map_or(lowest, |(at, rank)| lowest.max((at, rank.saturating_add(1))));
        let upper = above(period);
        let base = self
            .base_ranks(lower, upper)
            .map(|rank| (self.calendar.time_of(rank), rank));
        let stored = (lower < upper)
            .then(|| self.order.range(lower..upper).copied())
            .into_iter()
            .flatten();
        self.live(merge(base, stored, |left, right| left < right))
    }

    /// Returns the number of live messages at `now`.
    pub(crate) fn live_count(&self, now: i64) -> u64 {
        let floor = self.floor(now);
        let first = self.calendar.first_at_or_after(floor);
        let base = |rank: &u64| *rank >= first && *rank < self.calendar.total();
        let moved = self.moved.keys().filter(|rank| base(rank)).count();
        let deleted = self
            .deleted
            .iter()
            .filter(|rank| base(rank) && !self.moved.contains_key(rank))
            .count();
        let stored = self
            .order
            .range((floor, 0)..)
            .filter(|(_, rank)| !self.deleted.contains(rank))
            .count();
        let gone = u64::try_from(moved + deleted).unwrap_or(0);
        (self.calendar.total() - first).saturating_sub(gone) + u64::try_from(stored).unwrap_or(0)
    }

    fn lowest(&self, period: Period, now: i64) -> Key {
        (period.first.max(self.floor(now)), 0)
    }

    fn base_ranks(&self, lower: Key, upper: Key) -> std::ops::Range<u64> {
        if lower >= upper {
            return 0..0;
        }
        self.base_rank_at(lower)..self.base_rank_at(upper)
    }

    /// Returns the lowest generated rank whose key is not below `key`.
    fn base_rank_at(&self, key: Key) -> u64 {
        let (at, anchor) = key;
        let mut rank = self.calendar.first_at_or_after(at);
        if anchor > rank && anchor < self.calendar.total() && self.calendar.time_of(anchor) == at {
            return anchor;
        }
        while rank < anchor && rank < self.calendar.total() && self.calendar.time_of(rank) == at {
            rank += 1;
        }
        rank
    }

    fn live(&self, keys: impl Iterator<Item = Key>) -> impl Iterator<Item = Key> {
        let untouched = self.deleted.is_empty() && self.moved.is_empty();
        keys.filter(move |(at, rank)| {
            untouched
                || (!self.deleted.contains(rank)
                    && self.moved.get(rank).is_none_or(|moved_to| moved_to == at))
        })
    }
}

fn above(period: Period) -> Key {
    (period.last.saturating_add(1), 0)
}

fn merge(
    left: impl Iterator<Item = Key>,
    right: impl Iterator<Item = Key>,
    ahead: fn(&Key, &Key) -> bool,
) -> impl Iterator<Item = Key> {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    std::iter::from_fn(move || next(&mut left, &mut right, ahead))
}

fn next(
    left: &mut Peekable<impl Iterator<Item = Key>>,
    right: &mut Peekable<impl Iterator<Item = Key>>,
    ahead: fn(&Key, &Key) -> bool,
) -> Option<Key> {
    match (left.peek(), right.peek()) {
        // A message that was moved to its own position.
        (Some(from_left), Some(from_right)) if from_left == from_right => {
            right.next();
            left.next()
        }
        (Some(from_left), Some(from_right)) if ahead(from_right, from_left) => right.next(),
        (Some(_), _) => left.next(),
        (None, _) => right.next(),
    }
}
