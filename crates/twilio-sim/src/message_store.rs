//! The messages of one account: the generated history, plus stored messages that were inserted, moved, changed or deleted.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};

use crate::bodies::segments;
use crate::calendar::Calendar;
use crate::change::{NewMessage, Patch};
use crate::dates::{DAY, day_start};
use crate::lifecycle::{Lifecycle, Traits};
use crate::message::{Direction, Status};
use crate::plan::{Address, Body, Plan, Planner};
use crate::random::Rng;
use crate::row::{Overlay, Row};
use crate::sid::SidCodec;
use crate::watches::Watches;

/// The position of a message: its second, then its rank. Lists are in descending order of it.
pub(crate) type Key = (i64, u64);

/// A message that was inserted after the start.
#[derive(Debug)]
struct Inserted {
    created: i64,
    key: i64,
    direction: Direction,
    from: String,
    to: String,
    service: Option<String>,
    body: String,
    media: u32,
    segments: u32,
    lifecycle: Lifecycle,
}

/// All messages of one account.
#[derive(Debug)]
pub(crate) struct MessageStore {
    pub(crate) account: String,
    pub(crate) calendar: Calendar,
    pub(crate) planner: Planner,
    pub(crate) codec: SidCodec,
    retention_days: u32,
    overlays: HashMap<u64, Overlay>,
    inserted: HashMap<u64, Inserted>,
    /// Generated messages that have moved, with their new second.
    pub(crate) moved: HashMap<u64, i64>,
    /// The positions of inserted and moved messages.
    pub(crate) order: BTreeSet<Key>,
    /// Messages that will get a `date_sent`, by the second at which they get it.
    pending: BTreeSet<Key>,
    pub(crate) deleted: HashSet<u64>,
    pub(crate) watches: Watches,
    next_rank: u64,
}

impl MessageStore {
    pub(crate) fn new(account: String, planner: Planner, calendar: Calendar, retention_days: u32) -> Self {
        let mut store = Self {
            account,
            codec: SidCodec::new(planner.seed),
            next_rank: calendar.total(),
            calendar,
            planner,
            retention_days,
            overlays: HashMap::new(),
            inserted: HashMap::new(),
            moved: HashMap::new(),
            order: BTreeSet::new(),
            pending: BTreeSet::new(),
            deleted: HashSet::new(),
            watches: Watches::default(),
        };
        let recent = store.calendar.first_at_or_after(store.planner.base - 7 * DAY);
        for rank in recent..store.calendar.total() {
            let lifecycle = store.planner.plan(rank, store.calendar.time_of(rank)).lifecycle;
            if lifecycle.is_scheduled() && lifecycle.sent > store.planner.base {
                store.pending.insert((lifecycle.sent, rank));
            }
        }
        store
    }

    /// Returns the first second of kept messages, a day before the first second that a filter may request.
    pub(crate) fn floor(&self, now: i64) -> i64 {
        self.oldest_filter(now) - DAY
    }

    /// Returns the first second that a filter may request.
    pub(crate) fn oldest_filter(&self, now: i64) -> i64 {
        day_start(now - i64::from(self.retention_days) * DAY)
    }

    /// Returns whether [`Self::settle`] has work to do.
    pub(crate) fn is_unsettled(&self, now: i64) -> bool {
        self.pending.first().is_some_and(|(due, _)| *due <= now) || self.watches.is_due(now)
    }

    /// Moves messages that were sent by now to the position of their `date_sent`, and collects the changes of watched messages.
    pub(crate) fn settle(&mut self, now: i64) {
        while let Some((due, rank)) = self.pending.first().copied().filter(|(due, _)| *due <= now) {
            self.pending.remove(&(due, rank));
            let stopped = self
                .overlays
                .get(&rank)
                .is_some_and(|overlay| overlay.stopped || overlay.sent.is_some());
            if !stopped && !self.deleted.contains(&rank) {
                self.place(rank, due);
            }
        }
        self.collect_changes(now);
    }

    /// Returns the position of a message, also of a deleted one.
    pub(crate) fn key(&self, rank: u64) -> Option<Key> {
        let at = match self.moved.get(&rank) {
            Some(at) => *at,
            None if rank < self.calendar.total() => self.calendar.time_of(rank),
            None => self.inserted.get(&rank)?.key,
        };
        Some((at, rank))
    }

    /// Returns the rank of a SID, also of a deleted message.
    pub(crate) fn rank(&self, sid: &str, now: i64) -> Option<u64> {
        let rank = self
            .codec
            .rank(sid.strip_prefix("SM").or_else(|| sid.strip_prefix("MM"))?)?;
        let row = self.any_row(rank, now)?;
        sid.starts_with(row.prefix).then_some(rank)
    }

    /// Returns the rank of a live message.
    pub(crate) fn live_rank(&self, sid: &str, now: i64) -> Option<u64> {
        self.rank(sid, now).filter(|rank| self.is_live(*rank, now))
    }

    fn is_live(&self, rank: u64, now: i64) -> bool {
        !self.deleted.contains(&rank) && self.key(rank).is_some_and(|(at, _)| at >= self.floor(now))
    }

    /// Returns a live message by its SID.
    pub(crate) fn row(&self, sid: &str, now: i64) -> Option<Row<'_>> {
        self.any_row(self.live_rank(sid, now)?, now)
    }

    /// Returns a live message by its rank.
    pub(crate) fn row_of_rank(&self, rank: u64, now: i64) -> Option<Row<'_>> {
        self.any_row(rank, now).filter(|_| self.is_live(rank, now))
    }

    /// Returns the lifecycle of a message.
    pub(crate) fn lifecycle(&self, rank: u64) -> Option<Lifecycle> {
        if rank < self.calendar.total() {
            Some(self.planner.plan(rank, self.calendar.time_of(rank)).lifecycle)
        } else {
            self.inserted.get(&rank).map(|message| message.lifecycle.clone())
        }
    }

    /// Returns the inserted messages whose status will still change.
    pub(crate) fn unfinished(&self, now: i64) -> Vec<u64> {
        let unfinished = self
            .inserted
            .iter()
            .filter(|(_, message)| message.lifecycle.changes().last().is_some_and(|last| *last > now));
        unfinished.map(|(rank, _)| *rank).collect()
    }

    fn any_row(&self, rank: u64, now: i64) -> Option<Row<'_>> {
        self.row_at((self.birth_place(rank)?, rank), now)
    }

    /// Returns the message at a key, which must be the message's own key.
    pub(crate) fn row_at(&self, key: Key, now: i64) -> Option<Row<'_>> {
        let (at, rank) = key;
        let plan = if rank < self.calendar.total() {
            let born_at = if self.moved.contains_key(&rank) {
                self.calendar.time_of(rank)
            } else {
                at
            };
            self.planner.plan(rank, born_at)
        } else {
            self.inserted.get(&rank)?.plan()
        };
        let mut row = Row::new(&self.account, self.codec, rank, &plan, now);
        if let Some(overlay) = self.overlays.get(&rank) {
            row.apply(overlay);
        }
        Some(row)
    }

    fn birth_place(&self, rank: u64) -> Option<i64> {
        if rank < self.calendar.total() {
            Some(self.calendar.time_of(rank))
        } else {
            self.inserted.get(&rank).map(|message| message.key)
        }
    }

    /// Adds a message and returns its rank.
    pub(crate) fn insert(&mut self, new: NewMessage, now: i64) -> u64 {
        let rank = self.next_rank;
        self.next_rank += 1;
        let mut rng = Rng::new(self.planner.seed, rank, 0x1257);
        let created = new.date_created.map_or(now, |at| at.timestamp());
        let stamp = new.date_sent.map(|at| at.timestamp());
        let own = rng.pick(&self.planner.numbers).copied().unwrap_or(15_005_550_006);
        let inbound = new.direction == Direction::Inbound;
        let stranger = || format!("+1415555{:04}", rank % 10_000);
        let from = new
            .from
            .unwrap_or_else(|| if inbound { stranger() } else { format!("+{own}") });
        let to = new
            .to
            .unwrap_or_else(|| if inbound { format!("+{own}") } else { stranger() });
        let body = new.body.unwrap_or_else(|| format!("Inserted message {rank}"));
        let segments = if new.num_media > 0 {
            1
        } else {
            segments(body.chars(), 0)
        };
        let traits = Traits {
            direction: new.direction,
            whatsapp: to.starts_with("whatsapp:"),
            service: new.messaging_service_sid.is_some(),
            segments,
            media: new.num_media,
        };
        let begin = new.send_at.map(|at| at.timestamp()).or(stamp).unwrap_or(created);
        let lifecycle = Lifecycle::new(&mut rng, traits, created, begin, stamp);
        let mut overlay = Overlay {
            status: new.status,
            price: new.price.map(|price| Some(price.into())),
            error: new.error_code.map(Some),
            tags: new.tags.map(Box::new),
            ..Overlay::default()
        };
        let mut key = if stamp.is_some() || lifecycle.sent <= now {
            lifecycle.stamp
        } else {
            created
        };
        if let Some(status) = new.status {
            let left = status.is_past_sending() || stamp.is_some();
            overlay.stopped = !left;
            overlay.sent = left.then(|| stamp.unwrap_or(created));
            key = overlay.sent.unwrap_or(created);
        } else if lifecycle.sent > now && stamp.is_none() {
            self.pending.insert((lifecycle.sent, rank));
        }
        let changed = overlay.status.is_some() || overlay.price.is_some() || overlay.error.is_some();
        if changed || overlay.tags.is_some() {
            self.overlays.insert(rank, overlay);
        }
        let direction = new.direction;
        let (service, media) = (new.messaging_service_sid, new.num_media);
        self.inserted.insert(
            rank,
            Inserted {
                created,
                key,
                direction,
                from,
                to,
                service,
                body,
                media,
                segments,
                lifecycle,
            },
        );
        self.order.insert((key, rank));
        if new.status_callback.is_some() || self.watches.everything {
            self.watch(rank, new.status_callback, now);
        }
        rank
    }

    /// Changes a message, which must be live.
    pub(crate) fn patch(&mut self, rank: u64, patch: Patch, now: i64) {
        let row = self.any_row(rank, now);
        let undated = row.as_ref().is_none_or(|row| row.sent.is_none());
        let before = row.map(|row| row.status);
        if patch.status_callback.is_some() {
            self.watch(rank, patch.status_callback, now);
        }
        let overlay = self.overlays.entry(rank).or_default();
        let mut move_to = patch.date_sent.map(|at| at.timestamp());
        if let Some(status) = patch.status {
            overlay.status = Some(status);
            if undated && !status.is_past_sending() && move_to.is_none() {
                overlay.stopped = true;
            } else if undated {
                move_to = move_to.or(Some(now));
            }
        }
        if let Some(body) = patch.body {
            overlay.body = Some(body.into());
        }
        if let Some(from) = patch.from {
            overlay.from = Some(from.into());
        }
        if let Some(price) = patch.price {
            overlay.price = Some(price.map(Into::into));
        }
        overlay.error = patch.error_code.or(overlay.error);
        if let Some(words) = patch.error_message {
            overlay.error_message = Some(words.into());
        }
        overlay.media = patch.num_media.or(overlay.media);
        if let Some(tags) = patch.tags {
            overlay.tags = Some(Box::new(tags));
        }
        overlay.updated = Some(patch.date_updated.map_or(now, |at| at.timestamp()));
        if let Some(at) = move_to {
            overlay.sent = Some(at);
            overlay.stopped = false;
            self.place(rank, at);
        }
        self.collect(rank, before, now);
    }

    /// Sets the `tags` of a message.
    pub(crate) fn tag(&mut self, rank: u64, tags: Map<String, Value>, now: i64) {
        self.patch(
            rank,
            Patch {
                tags: Some(tags),
                ..Patch::default()
            },
            now,
        );
    }

    /// Sets the status of a message and its error.
    pub(crate) fn set_status(&mut self, rank: u64, status: Status, error: Option<i64>, now: i64) {
        let patch = Patch {
            status: Some(status),
            error_code: Some(error),
            ..Patch::default()
        };
        self.patch(rank, patch, now);
    }

    /// Deletes a message. Its key stays known for page tokens.
    pub(crate) fn delete(&mut self, rank: u64) {
        self.deleted.insert(rank);
        self.overlays.remove(&rank);
        self.watches.remove(rank);
    }

    fn place(&mut self, rank: u64, at: i64) {
        if let Some(message) = self.inserted.get_mut(&rank) {
            self.order.remove(&(message.key, rank));
            message.key = at;
        } else if let Some(before) = self.moved.insert(rank, at) {
            self.order.remove(&(before, rank));
        }
        self.order.insert((at, rank));
    }
}

impl Inserted {
    fn plan(&self) -> Plan<'_> {
        Plan {
            created: self.created,
            direction: self.direction,
            from: Address::Text(&self.from),
            to: Address::Text(&self.to),
            service: self.service.as_deref(),
            body: Body::Text(&self.body),
            media: self.media,
            segments: self.segments,
            tag: None,
            lifecycle: self.lifecycle.clone(),
        }
    }
}
