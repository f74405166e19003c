//! Stores incoming events: one transaction for all requests that wait, since each commit waits for the disk.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use domain::Timestamp;
use parking_lot::Mutex;
use store::incoming::{self, IncomingAddress, NewIncoming};
use store::{Store, StoreError};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::Instant;

/// The most events that one transaction stores, unless one request brings more.
const TOGETHER: usize = 256;
/// The most events of an address that wait to be processed.
const BACKLOG: i64 = 10_000;
/// The same for events that could not be verified, because they fit no connection.
const UNVERIFIED_BACKLOG: i64 = 1_000;
/// How many of the oldest of those make room for others at once.
const EVICTED: i64 = 100;
/// How long the counted backlog of an address is used, with what was stored since.
const COUNTED_FOR: Duration = Duration::from_secs(1);

/// What became of the events of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// They are stored; whether some of them are new.
    Done { new: bool },
    /// Too many events of the address wait.
    Full,
}

/// Stores the events of requests, in turn.
#[derive(Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Vec<Waiting>>,
    /// The one that stores holds this.
    turn: tokio::sync::Mutex<HashMap<IncomingAddress, Counted>>,
}

struct Waiting {
    events: Vec<NewIncoming>,
    /// Dropped if the transaction failed.
    stored: oneshot::Sender<Stored>,
}

#[derive(Clone, Copy)]
struct Counted {
    events: i64,
    at: Instant,
}

impl Inbox {
    /// Stores the events of a request, all or none. They are committed when this returns.
    pub(crate) async fn store(
        &self,
        store: &Store,
        events: Vec<NewIncoming>,
        now: Timestamp,
    ) -> Result<Stored, StoreError> {
        let (sender, mut stored) = oneshot::channel();
        self.waiting.lock().push(Waiting {
            events,
            stored: sender,
        });
        let mut counted = self.turn.lock().await;
        loop {
            match stored.try_recv() {
                Ok(stored) => return Ok(stored),
                Err(TryRecvError::Closed) => {
                    return Err(StoreError::Busy(
                        "the events of several requests were not stored".into(),
                    ));
                }
                Err(TryRecvError::Empty) => {}
            }
            self.store_waiting(store, &mut counted, now).await?;
        }
    }

    /// Stores what waits, oldest first.
    async fn store_waiting(
        &self,
        store: &Store,
        counted: &mut HashMap<IncomingAddress, Counted>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let batch = self.take();
        let began = Instant::now();
        counted.retain(|_, counted| counted.at.elapsed() < COUNTED_FOR);
        let mut known: HashMap<IncomingAddress, i64> = counted
            .iter()
            .map(|(address, counted)| (address.clone(), counted.events))
            .collect();
        let (requests, senders): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|waiting| (waiting.events, waiting.stored))
            .unzip();
        let written = store.write_durably(move |c| {
            let mut fitting = Vec::new();
            let mut full = HashSet::new();
            let mut ids = Vec::new();
            for (index, events) in requests.into_iter().enumerate() {
                ids.push(events.iter().map(|event| event.id).collect::<Vec<_>>());
                let mut fits = true;
                for event in &events {
                    let address = event.address();
                    let limit = if event.verified {
                        BACKLOG
                    } else {
                        UNVERIFIED_BACKLOG
                    };
                    let mut count = match known.get(&address) {
                        Some(count) => *count,
                        None => incoming::backlog(c, &address, BACKLOG)?,
                    };
                    if !event.verified && count >= limit {
                        // Anyone can send these, and they must not keep the next away.
                        count = count.saturating_sub(incoming::evict_unverified(c, &address, EVICTED)?);
                    }
                    fits &= count < limit;
                    known.insert(address, count);
                }
                if !fits {
                    full.insert(index);
                    continue;
                }
                for event in events {
                    *known.entry(event.address()).or_default() += 1;
                    fitting.push(event);
                }
            }
            let new = incoming::insert(c, &fitting, now)?;
            let stored: Vec<Stored> = ids
                .iter()
                .enumerate()
                .map(|(index, ids)| {
                    if full.contains(&index) {
                        return Stored::Full;
                    }
                    let new = ids.iter().any(|id| new.contains(id));
                    Stored::Done { new }
                })
                .collect();
            Ok((stored, known))
        });
        let (stored, known) = written.await?;
        for (address, events) in known {
            let at = counted.get(&address).map_or(began, |counted| counted.at);
            counted.insert(address, Counted { events, at });
        }
        for (sender, stored) in senders.into_iter().zip(stored) {
            // A client that is gone does not receive.
            let _: Result<(), Stored> = sender.send(stored);
        }
        Ok(())
    }

    fn take(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting.lock();
        let mut events = 0;
        let fits = |waiting: &&Waiting| {
            let first = events == 0;
            events += waiting.events.len();
            first || events <= TOGETHER
        };
        let count = waiting.iter().take_while(fits).count();
        waiting.drain(..count).collect()
    }
}
