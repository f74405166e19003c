//! The counts and queues of one provider, and within it those of each connection.

use std::collections::{HashMap, VecDeque};

use domain::ConnectionId;
use registry::Limits;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::rate::RateLimiter;
use crate::Priority;

/// A connection, or `None` for all requests that are made while connecting.
type Key = Option<ConnectionId>;

/// A value for each priority.
#[derive(Debug, Default)]
struct ByPriority<T> {
    interactive: T,
    background: T,
}

impl<T> ByPriority<T> {
    fn of(&self, priority: Priority) -> &T {
        match priority {
            Priority::Interactive => &self.interactive,
            Priority::Background => &self.background,
        }
    }

    fn of_mut(&mut self, priority: Priority) -> &mut T {
        match priority {
            Priority::Interactive => &mut self.interactive,
            Priority::Background => &mut self.background,
        }
    }
}

impl Priority {
    fn other(self) -> Self {
        match self {
            Self::Interactive => Self::Background,
            Self::Background => Self::Interactive,
        }
    }
}

/// Counts requests in flight.
#[derive(Debug)]
struct Concurrency {
    /// `None` for no limit.
    limit: Option<u32>,
    in_flight: ByPriority<u32>,
    last: Priority,
}

impl Concurrency {
    fn new(limit: Option<u32>) -> Self {
        Self {
            limit: limit.map(|limit| limit.max(1)),
            in_flight: ByPriority::default(),
            last: Priority::Interactive,
        }
    }

    fn total(&self) -> u32 {
        self.in_flight
            .interactive
            .saturating_add(self.in_flight.background)
    }

    fn has_room(&self) -> bool {
        self.limit.is_none_or(|limit| self.total() < limit)
    }

    /// Which priority goes next when both are queued: interactive, unless background holds no permit and did not get the last one.
    fn turn(&self) -> Priority {
        if self.in_flight.background == 0 && self.last == Priority::Interactive {
            Priority::Background
        } else {
            Priority::Interactive
        }
    }

    fn acquire(&mut self, priority: Priority) {
        let in_flight = self.in_flight.of_mut(priority);
        *in_flight = in_flight.saturating_add(1);
        self.last = priority;
    }

    fn release(&mut self, priority: Priority) {
        let in_flight = self.in_flight.of_mut(priority);
        *in_flight = in_flight.saturating_sub(1);
    }
}

/// The requests of one connection: those in flight, their rate, and those that are queued.
#[derive(Debug)]
struct ConnectionLimiter {
    concurrency: Concurrency,
    rate: RateLimiter,
    queues: ByPriority<VecDeque<oneshot::Sender<()>>>,
}

/// What a connection did with a permit that it was offered.
enum Offer {
    /// A queued request took it.
    Taken,
    /// It has queued requests and no room for another in flight.
    Full,
    /// It has no queued request.
    Empty,
}

impl ConnectionLimiter {
    fn new(key: Key, limits: Limits) -> Self {
        // Without a connection there is nothing that the connection's limits apply to.
        let (concurrency, rate) = match key {
            Some(_) => (Some(limits.concurrency), limits.per_second),
            None => (None, None),
        };
        Self {
            concurrency: Concurrency::new(concurrency),
            rate: RateLimiter::new(rate),
            queues: ByPriority::default(),
        }
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.concurrency.total() == 0
            && self.queues.interactive.is_empty()
            && self.queues.background.is_empty()
            && self.rate.is_idle(now)
    }

    fn offer(&mut self, priority: Priority) -> Offer {
        let other_queue = self.queues.of(priority.other());
        let other_waits = other_queue.iter().any(|request| !request.is_closed());
        let yields = other_waits && self.concurrency.turn() != priority;
        while let Some(request) = self.queues.of_mut(priority).pop_front() {
            if request.is_closed() {
                continue;
            }
            if yields || !self.concurrency.has_room() {
                self.queues.of_mut(priority).push_front(request);
                return Offer::Full;
            }
            if request.send(()).is_ok() {
                self.concurrency.acquire(priority);
                return Offer::Taken;
            }
        }
        Offer::Empty
    }
}

/// The number of known connections from which idle ones are looked for and forgotten.
const SWEEP_FROM: usize = 1024;

/// The requests to one provider: those in flight, their rate, and the connections that take turns.
#[derive(Debug)]
pub(super) struct ProviderLimiter {
    limits: Limits,
    concurrency: Concurrency,
    rate: RateLimiter,
    turns: ByPriority<VecDeque<Key>>,
    connections: HashMap<Key, ConnectionLimiter>,
    sweep_at: usize,
}

impl ProviderLimiter {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            concurrency: Concurrency::new(limits.provider.concurrency),
            rate: RateLimiter::new(limits.provider.per_second),
            turns: ByPriority::default(),
            connections: HashMap::new(),
            sweep_at: SWEEP_FROM,
        }
    }

    fn connection(&mut self, key: Key) -> &mut ConnectionLimiter {
        let limits = self.limits;
        self.connections
            .entry(key)
            .or_insert_with(|| ConnectionLimiter::new(key, limits))
    }

    /// The rate of a connection, or of the provider if `None`.
    pub(super) fn rate(&mut self, connection: Option<Key>) -> &mut RateLimiter {
        match connection {
            Some(key) => &mut self.connection(key).rate,
            None => &mut self.rate,
        }
    }

    /// Puts a request at the end of its connection's queue; it may get a permit at once.
    pub(super) fn enqueue(&mut self, key: Key, priority: Priority, request: oneshot::Sender<()>) {
        let queue = self.connection(key).queues.of_mut(priority);
        let first = queue.is_empty();
        queue.push_back(request);
        if first {
            self.turns.of_mut(priority).push_back(key);
        }
        self.grant_permits();
    }

    /// Releases the permit of a request, which goes to the next in turn.
    pub(super) fn release(&mut self, key: Key, priority: Priority) {
        self.concurrency.release(priority);
        self.connection(key).concurrency.release(priority);
        self.grant_permits();
        self.sweep(key);
    }

    /// Removes requests from a connection's queue that gave up waiting.
    pub(super) fn remove_closed(&mut self, key: Key, priority: Priority) {
        let queue = self.connection(key).queues.of_mut(priority);
        queue.retain(|request| !request.is_closed());
        if queue.is_empty() {
            self.turns.of_mut(priority).retain(|queued| *queued != key);
        }
        // The other priority may have yielded to a request that is gone now.
        self.grant_permits();
        self.sweep(key);
    }

    /// Lets no request of the connection start before `until`.
    pub(super) fn pause(&mut self, key: Key, until: Instant) {
        self.connection(key).rate.pause(until);
    }

    pub(super) fn paused_until(&self, key: Key) -> Option<Instant> {
        self.connections.get(&key)?.rate.paused_until()
    }

    fn grant_permits(&mut self) {
        while self.concurrency.has_room() {
            let turn = self.concurrency.turn();
            if !self.grant(turn) && !self.grant(turn.other()) {
                return;
            }
        }
    }

    /// Grants a permit to the first connection in turn that has a queued request and room for it; the connection is the last then.
    fn grant(&mut self, priority: Priority) -> bool {
        let turns = self.turns.of_mut(priority);
        let mut index = 0;
        while let Some(key) = turns.get(index).copied() {
            let connection = self.connections.get_mut(&key);
            match connection.map(|connection| (connection.offer(priority), connection)) {
                Some((Offer::Taken, connection)) => {
                    turns.remove(index);
                    if !connection.queues.of(priority).is_empty() {
                        turns.push_back(key);
                    }
                    self.concurrency.acquire(priority);
                    return true;
                }
                Some((Offer::Full, _)) => index += 1,
                Some((Offer::Empty, _)) | None => drop(turns.remove(index)),
            }
        }
        false
    }

    /// Forgets the connection if it is idle, and now and then all others that are.
    fn sweep(&mut self, key: Key) {
        let now = Instant::now();
        if self
            .connections
            .get(&key)
            .is_some_and(|connection| connection.is_idle(now))
        {
            self.connections.remove(&key);
        }
        if self.connections.len() > self.sweep_at {
            self.connections.retain(|_, connection| !connection.is_idle(now));
            self.sweep_at = SWEEP_FROM.max(self.connections.len().saturating_mul(2));
        }
    }

    /// Returns how many connections are known.
    #[cfg(test)]
    pub(super) fn known_connections(&self) -> usize {
        self.connections.len()
    }
}
