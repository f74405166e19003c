//! The memory budget of response bodies: the maximum number of their bytes in this process at any time.
//!
//! A body takes bytes from the budget while it is read and keeps them until its [`BodyMemory`] is dropped: after its records are written,
//! or when it is discarded. A body that finds no room waits. There are two pools, so that syncs never hold up interactive requests. Each
//! pool lets one body at a time exceed it: a body larger than the pool needs that, and without it bodies that are half read could wait
//! for each other forever. A pool therefore never holds more than its size and one body of the largest size allowed.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use domain::ConnectionId;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::Priority;

/// The bytes that each body takes before its request is sent: the size limit of an error's body.
pub(crate) const FIRST_BYTES: usize = 64 << 10;

/// One connection holds at most a pool's size divided by this, so that its slow bodies do not block those of all others.
const SHARE: usize = 2;

/// The budget for the bodies of all requests of this process.
#[derive(Debug, Clone)]
pub(crate) struct BodyBudget {
    interactive: Pool,
    background: Pool,
}

impl BodyBudget {
    /// Creates a budget of this many bytes, a quarter of which is for interactive requests only.
    pub(crate) fn new(bytes: usize) -> Self {
        let interactive = bytes / 4;
        Self {
            interactive: Pool::new(interactive),
            background: Pool::new(bytes.saturating_sub(interactive)),
        }
    }

    /// Waits until a body may begin. Drop the future to give up.
    pub(crate) async fn begin(&self, priority: Priority, connection: Option<ConnectionId>) -> BodyMemory {
        let pool = match priority {
            Priority::Interactive => &self.interactive,
            Priority::Background => &self.background,
        };
        let mut memory = BodyMemory(Some(pool.reserve(connection)));
        memory.grow(FIRST_BYTES).await;
        memory
    }
}

/// The bytes of the budget that one body holds; released when dropped. The default holds none.
#[derive(Debug, Default)]
pub struct BodyMemory(Option<Reservation>);

impl BodyMemory {
    /// Waits until the body may have `bytes` in all.
    pub(crate) async fn grow(&mut self, bytes: usize) {
        if let Some(held) = &mut self.0 {
            held.grow(bytes).await;
        }
    }

    /// Returns the bytes that the body holds.
    pub(crate) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |held| held.bytes)
    }
}

/// One of the two pools.
#[derive(Debug, Clone)]
struct Pool(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    size: usize,
    used: usize,
    /// Bytes by connection. Those of requests without one are not counted, since they belong to different people.
    by_connection: HashMap<ConnectionId, usize>,
    next_ticket: u64,
    /// The bodies that wait, the oldest first.
    waiting: BTreeMap<u64, Waiting>,
    /// The body that may exceed the pool.
    exceeding: Option<u64>,
}

#[derive(Debug)]
struct Waiting {
    connection: Option<ConnectionId>,
    /// The additional bytes that it needs.
    more: usize,
    grant: oneshot::Sender<()>,
}

#[derive(Debug)]
struct Reservation {
    pool: Pool,
    ticket: u64,
    connection: Option<ConnectionId>,
    bytes: usize,
}

impl Pool {
    fn new(size: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            size,
            used: 0,
            by_connection: HashMap::new(),
            next_ticket: 0,
            waiting: BTreeMap::new(),
            exceeding: None,
        })))
    }

    fn reserve(&self, connection: Option<ConnectionId>) -> Reservation {
        let mut state = self.0.lock();
        let ticket = state.next_ticket;
        state.next_ticket = ticket.wrapping_add(1);
        Reservation {
            pool: self.clone(),
            ticket,
            connection,
            bytes: 0,
        }
    }
}

impl Reservation {
    async fn grow(&mut self, bytes: usize) {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return;
        }
        let (grant, granted) = oneshot::channel();
        let waiting = Waiting {
            connection: self.connection,
            more,
            grant,
        };
        let queued = Queued { held: self, more };
        queued.held.pool.0.lock().enqueue(queued.held.ticket, waiting);
        // The sender is dropped only after it has sent.
        let _ = granted.await;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut state = self.pool.0.lock();
        state.release(self.connection, self.bytes);
        if state.exceeding == Some(self.ticket) {
            state.exceeding = None;
        }
        state.grant_waiting();
    }
}

/// A body that waits for bytes; leaves the queue when dropped, whether it got them or gave up.
struct Queued<'a> {
    held: &'a mut Reservation,
    more: usize,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let mut state = self.held.pool.0.lock();
        // The grant is sent under the lock, so it cannot come after this.
        if state.waiting.remove(&self.held.ticket).is_some() {
            // It may have been before others that fit.
            state.grant_waiting();
        } else {
            self.held.bytes = self.held.bytes.saturating_add(self.more);
        }
    }
}

impl State {
    fn enqueue(&mut self, ticket: u64, waiting: Waiting) {
        self.waiting.insert(ticket, waiting);
        self.grant_waiting();
    }

    /// Grants bytes to waiting bodies: by age, except that a connection at its share does not hold up others.
    fn grant_waiting(&mut self) {
        let (mut full, mut next) = (false, 0);
        while let Some((&ticket, waiting)) = self.waiting.range(next..).next() {
            next = ticket.saturating_add(1);
            let fits = self.used.saturating_add(waiting.more) <= self.size;
            if self.exceeding == Some(ticket) || (!full && fits && self.within_share(waiting)) {
                if let Some(waiting) = self.waiting.remove(&ticket) {
                    self.grant(waiting);
                }
            } else {
                full |= !fits;
            }
        }
        if self.exceeding.is_none()
            && let Some((ticket, waiting)) = self.waiting.pop_first()
        {
            self.exceeding = Some(ticket);
            self.grant(waiting);
        }
    }

    fn within_share(&self, waiting: &Waiting) -> bool {
        let Some(id) = waiting.connection else {
            return true;
        };
        let held = self.by_connection.get(&id).copied().unwrap_or_default();
        held.saturating_add(waiting.more) <= self.size / SHARE
    }

    /// Counts the bytes of a waiting body and tells it. One that has just given up notices when it leaves the queue.
    fn grant(&mut self, waiting: Waiting) {
        self.used = self.used.saturating_add(waiting.more);
        if let Some(id) = waiting.connection {
            let bytes = self.by_connection.entry(id).or_default();
            *bytes = bytes.saturating_add(waiting.more);
        }
        let _ = waiting.grant.send(());
    }

    fn release(&mut self, connection: Option<ConnectionId>, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
        if let Some(id) = connection
            && let Some(held) = self.by_connection.get_mut(&id)
        {
            *held = held.saturating_sub(bytes);
            if *held == 0 {
                self.by_connection.remove(&id);
            }
        }
    }
}
