//! Places and lines: those of a provider, and within it those of each connection.

use std::collections::{HashMap, VecDeque};

use registry::Limits;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::pace::Pace;
use super::{LaneKey, Urgency};

/// One of each for the two kinds of calls.
#[derive(Debug, Default)]
struct Both<T> {
    interactive: T,
    background: T,
}

impl<T> Both<T> {
    fn of(&self, urgency: Urgency) -> &T {
        match urgency {
            Urgency::Interactive => &self.interactive,
            Urgency::Background => &self.background,
        }
    }

    fn of_mut(&mut self, urgency: Urgency) -> &mut T {
        match urgency {
            Urgency::Interactive => &mut self.interactive,
            Urgency::Background => &mut self.background,
        }
    }
}

/// How many places are taken, by whom.
#[derive(Debug)]
struct Places {
    /// `None` without bound.
    all: Option<u32>,
    taken: Both<u32>,
    last: Urgency,
}

impl Places {
    fn new(all: Option<u32>) -> Self {
        Self {
            all: all.map(|all| all.max(1)),
            taken: Both::default(),
            last: Urgency::Interactive,
        }
    }

    fn sum(&self) -> u32 {
        self.taken.interactive.saturating_add(self.taken.background)
    }

    fn has_room(&self) -> bool {
        self.all.is_none_or(|all| self.sum() < all)
    }

    /// Whose turn it is if both kinds wait: that of who has somebody waiting, unless a sync has no place and did not have the
    /// last one either.
    fn turn(&self) -> Urgency {
        if self.taken.background == 0 && self.last == Urgency::Interactive {
            Urgency::Background
        } else {
            Urgency::Interactive
        }
    }

    fn take(&mut self, urgency: Urgency) {
        let taken = self.taken.of_mut(urgency);
        *taken = taken.saturating_add(1);
        self.last = urgency;
    }

    fn give_back(&mut self, urgency: Urgency) {
        let taken = self.taken.of_mut(urgency);
        *taken = taken.saturating_sub(1);
    }
}

/// A connection's places, its rate, and its calls that wait.
#[derive(Debug)]
struct Lane {
    places: Places,
    pace: Pace,
    waiting: Both<VecDeque<oneshot::Sender<()>>>,
}

/// What came of a look at a lane.
enum Look {
    /// A call of it was given a place.
    Granted,
    /// It has to wait for itself.
    Full,
    /// Nobody waits there.
    Empty,
}

impl Lane {
    fn new(key: LaneKey, limits: Limits) -> Self {
        // Without a connection there is nobody whose limit it would be.
        let (places, rate) = match key {
            Some(_) => (Some(limits.concurrency), limits.per_second),
            None => (None, None),
        };
        Self {
            places: Places::new(places),
            pace: Pace::new(rate),
            waiting: Both::default(),
        }
    }

    fn is_as_new(&self, now: Instant) -> bool {
        let line = &self.waiting;
        self.places.sum() == 0
            && line.interactive.is_empty()
            && line.background.is_empty()
            && self.pace.is_as_new(now)
    }

    fn grant(&mut self, urgency: Urgency) -> Look {
        let other = urgency.other();
        let other_waits = self.waiting.of(other).iter().any(|call| !call.is_closed());
        let yields = other_waits && self.places.turn() != urgency;
        while let Some(call) = self.waiting.of_mut(urgency).pop_front() {
            if call.is_closed() {
                continue;
            }
            if yields || !self.places.has_room() {
                self.waiting.of_mut(urgency).push_front(call);
                return Look::Full;
            }
            if call.send(()).is_ok() {
                self.places.take(urgency);
                return Look::Granted;
            }
        }
        Look::Empty
    }
}

/// Whose rate.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose {
    Connection,
    Provider,
}

/// Connections known before those about which there is nothing to remember are looked for.
const SWEEP_FROM: usize = 1024;

/// A provider's places, its rate, and the connections that wait in turn.
#[derive(Debug)]
pub(super) struct House {
    limits: Limits,
    places: Places,
    pace: Pace,
    turns: Both<VecDeque<LaneKey>>,
    lanes: HashMap<LaneKey, Lane>,
    sweep_at: usize,
}

impl House {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            places: Places::new(limits.provider.concurrency),
            pace: Pace::new(limits.provider.per_second),
            turns: Both::default(),
            lanes: HashMap::new(),
            sweep_at: SWEEP_FROM,
        }
    }

    fn lane(&mut self, key: LaneKey) -> &mut Lane {
        let limits = self.limits;
        self.lanes.entry(key).or_insert_with(|| Lane::new(key, limits))
    }

    /// Puts a call at the end of its connection's line, which may be the beginning too.
    pub(super) fn queue(&mut self, key: LaneKey, urgency: Urgency, call: oneshot::Sender<()>) {
        let line = self.lane(key).waiting.of_mut(urgency);
        let first = line.is_empty();
        line.push_back(call);
        if first {
            self.turns.of_mut(urgency).push_back(key);
        }
        self.hand_out();
    }

    /// A call is over: its place goes to whose turn it is.
    pub(super) fn leave(&mut self, key: LaneKey, urgency: Urgency) {
        self.places.give_back(urgency);
        self.lane(key).places.give_back(urgency);
        self.hand_out();
        self.sweep(key);
    }

    /// Calls that gave up waiting take no room.
    pub(super) fn forget_who_left(&mut self, key: LaneKey, urgency: Urgency) {
        let line = self.lane(key).waiting.of_mut(urgency);
        line.retain(|call| !call.is_closed());
        if line.is_empty() {
            self.turns.of_mut(urgency).retain(|waiting| *waiting != key);
        }
        // The other kind may have yielded to who is gone.
        self.hand_out();
        self.sweep(key);
    }

    /// The moment for a call that has its place, or the moment that is later than `until`.
    pub(super) fn book(
        &mut self,
        whose: Whose,
        key: LaneKey,
        now: Instant,
        until: Instant,
    ) -> Result<Instant, Instant> {
        let pace = match whose {
            Whose::Connection => &mut self.lane(key).pace,
            Whose::Provider => &mut self.pace,
        };
        let moment = pace.moment(now);
        // Who need not wait is never too late.
        if moment > until.max(now) {
            return Err(moment);
        }
        pace.book(now);
        Ok(moment)
    }

    /// No call of the connection before `moment`.
    pub(super) fn rest(&mut self, key: LaneKey, moment: Instant) {
        self.lane(key).pace.rest(moment);
    }

    /// Until when the connection rests.
    pub(super) fn rests_until(&self, key: LaneKey) -> Option<Instant> {
        self.lanes.get(&key)?.pace.rests_until()
    }

    fn hand_out(&mut self) {
        while self.places.has_room() {
            let turn = self.places.turn();
            if !self.grant(turn) && !self.grant(turn.other()) {
                return;
            }
        }
    }

    /// Gives a place to the first connection in turn that has a call of the kind and room for it; it is the last then.
    fn grant(&mut self, urgency: Urgency) -> bool {
        let turns = self.turns.of_mut(urgency);
        let mut place = 0;
        while let Some(key) = turns.get(place).copied() {
            match self.lanes.get_mut(&key).map(|lane| (lane.grant(urgency), lane)) {
                Some((Look::Granted, lane)) => {
                    turns.remove(place);
                    if !lane.waiting.of(urgency).is_empty() {
                        turns.push_back(key);
                    }
                    self.places.take(urgency);
                    return true;
                }
                Some((Look::Full, _)) => place += 1,
                Some((Look::Empty, _)) | None => drop(turns.remove(place)),
            }
        }
        false
    }

    /// Forgets the connection if there is nothing to remember about it, and now and then looks for others of that kind.
    fn sweep(&mut self, key: LaneKey) {
        let now = Instant::now();
        if self.lanes.get(&key).is_some_and(|lane| lane.is_as_new(now)) {
            self.lanes.remove(&key);
        }
        if self.lanes.len() > self.sweep_at {
            self.lanes.retain(|_, lane| !lane.is_as_new(now));
            self.sweep_at = SWEEP_FROM.max(self.lanes.len().saturating_mul(2));
        }
    }

    #[cfg(test)]
    pub(super) fn known(&self) -> usize {
        self.lanes.len()
    }
}
