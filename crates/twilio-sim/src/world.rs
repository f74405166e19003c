//! The messages of one account: the generated history, and on top of it only what was inserted, moved, changed or deleted.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};

use crate::bodies::segments;
use crate::calendar::Calendar;
use crate::change::{NewMessage, Patch};
use crate::course::{Course, Traits};
use crate::dates::{DAY, day_start};
use crate::message::{Direction, Status};
use crate::mixing::Dice;
use crate::plan::{Address, Body, Plan, Planner};
use crate::row::{Overlay, Row};
use crate::sid::SidCodec;

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
    course: Course,
}

/// All messages of one account.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) account: String,
    pub(crate) calendar: Calendar,
    pub(crate) planner: Planner,
    pub(crate) codec: SidCodec,
    retention_days: u32,
    overlays: HashMap<u64, Overlay>,
    inserted: HashMap<u64, Inserted>,
    /// Generated messages that stand elsewhere by now, with the second at which they do.
    pub(crate) moved: HashMap<u64, i64>,
    /// Where inserted and moved messages stand.
    pub(crate) order: BTreeSet<Key>,
    /// Messages that will get their `date_sent`, by the second at which they do.
    pending: BTreeSet<Key>,
    pub(crate) deleted: HashSet<u64>,
    next_rank: u64,
}

impl World {
    pub(crate) fn new(account: String, planner: Planner, calendar: Calendar, retention_days: u32) -> Self {
        let mut world = Self {
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
        };
        let recent = world.calendar.first_at_or_after(world.planner.base - 7 * DAY);
        for rank in recent..world.calendar.total() {
            let course = world.planner.plan(rank, world.calendar.time_of(rank)).course;
            if course.is_scheduled() && course.sent > world.planner.base {
                world.pending.insert((course.sent, rank));
            }
        }
        world
    }

    /// The first second that messages are kept from; a day behind what filters may ask for.
    pub(crate) fn floor(&self, now: i64) -> i64 {
        self.oldest_filter(now) - DAY
    }

    /// The first second that a filter may ask for.
    pub(crate) fn oldest_filter(&self, now: i64) -> i64 {
        day_start(now - i64::from(self.retention_days) * DAY)
    }

    /// Whether [`Self::settle`] has something to do.
    pub(crate) fn is_unsettled(&self, now: i64) -> bool {
        self.pending.first().is_some_and(|(due, _)| *due <= now)
    }

    /// Moves messages that left by now to where their `date_sent` puts them.
    pub(crate) fn settle(&mut self, now: i64) {
        while let Some((due, rank)) = self.pending.first().copied().filter(|(due, _)| *due <= now) {
            self.pending.remove(&(due, rank));
            let stopped = self
                .overlays
                .get(&rank)
                .is_some_and(|overlay| overlay.held || overlay.sent.is_some());
            if !stopped && !self.deleted.contains(&rank) {
                self.place(rank, due);
            }
        }
    }

    /// Where a message stands or, deleted, stood.
    pub(crate) fn key(&self, rank: u64) -> Option<Key> {
        let at = match self.moved.get(&rank) {
            Some(at) => *at,
            None if rank < self.calendar.total() => self.calendar.time_of(rank),
            None => self.inserted.get(&rank)?.key,
        };
        Some((at, rank))
    }

    /// The rank of a SID, whether alive or not.
    pub(crate) fn rank(&self, sid: &str, now: i64) -> Option<u64> {
        let rank = self
            .codec
            .rank(sid.strip_prefix("SM").or_else(|| sid.strip_prefix("MM"))?)?;
        let row = self.any_row(rank, now)?;
        sid.starts_with(row.prefix).then_some(rank)
    }

    /// The rank of a live message.
    pub(crate) fn live_rank(&self, sid: &str, now: i64) -> Option<u64> {
        self.rank(sid, now).filter(|rank| self.is_live(*rank, now))
    }

    fn is_live(&self, rank: u64, now: i64) -> bool {
        !self.deleted.contains(&rank) && self.key(rank).is_some_and(|(at, _)| at >= self.floor(now))
    }

    /// A live message by its SID.
    pub(crate) fn row(&self, sid: &str, now: i64) -> Option<Row<'_>> {
        self.any_row(self.live_rank(sid, now)?, now)
    }

    fn any_row(&self, rank: u64, now: i64) -> Option<Row<'_>> {
        self.row_at((self.birth_place(rank)?, rank), now)
    }

    /// The message at a key, which must be its own.
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

    /// Adds a message and tells its rank.
    pub(crate) fn insert(&mut self, new: NewMessage, now: i64) -> u64 {
        let rank = self.next_rank;
        self.next_rank += 1;
        let mut dice = Dice::new(self.planner.seed, rank, 0x1257);
        let created = new.date_created.map_or(now, |at| at.timestamp());
        let stamp = new.date_sent.map(|at| at.timestamp());
        let own = dice
            .pick(&self.planner.numbers)
            .copied()
            .unwrap_or(15_005_550_006);
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
        let course = Course::travel(&mut dice, traits, created, begin, stamp);
        let mut overlay = Overlay {
            status: new.status,
            price: new.price.map(|price| Some(price.into())),
            error: new.error_code.map(Some),
            tags: new.tags.map(Box::new),
            ..Overlay::default()
        };
        let mut key = if stamp.is_some() || course.sent <= now {
            course.stamp
        } else {
            created
        };
        if let Some(status) = new.status {
            let left = status.is_past_sending() || stamp.is_some();
            overlay.held = !left;
            overlay.sent = left.then(|| stamp.unwrap_or(created));
            key = overlay.sent.unwrap_or(created);
        } else if course.sent > now && stamp.is_none() {
            self.pending.insert((course.sent, rank));
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
                course,
            },
        );
        self.order.insert((key, rank));
        rank
    }

    /// Changes a message; the caller knows that it is alive.
    pub(crate) fn patch(&mut self, rank: u64, patch: Patch, now: i64) {
        let undated = self.any_row(rank, now).is_none_or(|row| row.sent.is_none());
        let overlay = self.overlays.entry(rank).or_default();
        let mut move_to = patch.date_sent.map(|at| at.timestamp());
        if let Some(status) = patch.status {
            overlay.status = Some(status);
            if undated && !status.is_past_sending() && move_to.is_none() {
                overlay.held = true;
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
            overlay.held = false;
            self.place(rank, at);
        }
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

    /// Sets the status of a message, and the error that goes with it.
    pub(crate) fn set_status(&mut self, rank: u64, status: Status, error: Option<i64>, now: i64) {
        let patch = Patch {
            status: Some(status),
            error_code: Some(error),
            ..Patch::default()
        };
        self.patch(rank, patch, now);
    }

    /// Deletes a message; its key stays known, for page tokens that name it.
    pub(crate) fn delete(&mut self, rank: u64) {
        self.deleted.insert(rank);
        self.overlays.remove(&rank);
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
            course: self.course.clone(),
        }
    }
}
