//! A bounded set of database connections, each used by one thread of its own.
//!
//! libpq blocks and cannot be interrupted, so every call has a deadline that its caller keeps, whatever the thread does: a database that
//! goes silent costs an error in time, and no more threads than connections. A thread that stays blocked beyond what the server allows a
//! statement is abandoned, up to a bound, so that a new connection can take its place.

use std::any::Any;
use std::collections::HashMap;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::connector::{Connector, LONG, Opened};
use crate::outage::Outage;
use crate::{DbConn, StoreError};

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// A request's reads and writes.
    Short,
    /// Pages of a sync, exports, deletions in batches: three times as long.
    Long,
    /// Migrations and changes of tables, which take as long as the tables are large; only the wait for a connection is bounded.
    Unbounded,
}

/// A connection that was used within this time is taken to be alive: a check each time would double the round trips.
const FRESH: Duration = Duration::from_secs(1);
/// How often a caller that waits for a connection looks for threads to abandon.
const LOOK: Duration = Duration::from_millis(250);
/// Abandoned threads, per connection of the pool, beyond which no more are abandoned.
const MOST_STUCK: usize = 4;
/// How long the end of a pool waits for its threads to close their connections.
const CLOSING: Duration = Duration::from_secs(1);

/// Why a call ended before the database answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Late {
    #[error("no connection was free within {0:?}")]
    Waiting(Duration),
    #[error("the database did not answer within {0:?}")]
    Silent(Duration),
    #[error("the store is closed")]
    Closed,
    #[error("no thread can be started for a connection")]
    Thread(#[source] std::io::Error),
}

impl Late {
    fn error(self) -> StoreError {
        StoreError::Unavailable(self.into())
    }
}

/// Connections to one database; at most as many as its size.
#[derive(Debug)]
pub(crate) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    source: Arc<Source>,
    /// One permit per connection: callers wait here, in turn and without a thread.
    slots: Arc<Semaphore>,
    size: usize,
    /// How long a short call may take.
    timeout: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    idle: Vec<Session>,
    busy: HashMap<u64, Busy>,
    calls: u64,
    stuck: usize,
    /// Every thread holds a clone; gone when the pool ends.
    alive: Option<mpsc::Sender<Infallible>>,
    /// Disconnected once every thread has ended.
    ended: Option<mpsc::Receiver<Infallible>>,
}

/// A call that a thread carries out.
#[derive(Debug)]
struct Busy {
    _permit: OwnedSemaphorePermit,
    /// When the thread is given up; `None` for never.
    until: Option<Instant>,
}

/// Opens connections and knows whether the database answers.
#[derive(Debug)]
struct Source {
    connector: Connector,
    outage: Outage,
    /// Grows when a connection is lost: idle ones of before are likely dead too, and are opened anew instead of being tried one by one.
    generation: AtomicU64,
}

type Job = Box<dyn FnOnce(&mut Option<Held>) + Send>;
type Session = mpsc::Sender<Job>;

/// A thread's open connection.
struct Held {
    opened: Opened,
    used: std::time::Instant,
    generation: u64,
}

impl Pool {
    /// A pool of at most `size` connections, opened when they are needed.
    pub(crate) fn new(connector: Connector, size: usize, timeout: Duration) -> Self {
        let (alive, ended) = mpsc::channel();
        let state = State {
            idle: Vec::new(),
            busy: HashMap::new(),
            calls: 0,
            stuck: 0,
            alive: Some(alive),
            ended: Some(ended),
        };
        let source = Source {
            outage: Outage::new(connector.what()),
            connector,
            generation: AtomicU64::new(0),
        };
        Self(Arc::new(Shared {
            source: Arc::new(source),
            slots: Arc::new(Semaphore::new(size)),
            size,
            timeout,
            state: Mutex::new(state),
        }))
    }

    /// Runs `body` on a connection; in one transaction if `write`.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        patience: Patience,
        write: bool,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let began = std::time::Instant::now();
        let outcome = self.attempt(patience, write, body).await;
        if let Err(error) = &outcome {
            self.0.source.outage.failed(error, began);
        }
        outcome
    }

    async fn attempt<T: Send + 'static>(
        &self,
        patience: Patience,
        write: bool,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = &self.0;
        let long = shared.timeout * LONG;
        let wait = match patience {
            Patience::Short => shared.timeout,
            Patience::Long | Patience::Unbounded => long,
        };
        let deadline = Instant::now() + wait;
        let permit = shared.permit(wait, deadline).await?;
        let (sender, receiver) = oneshot::channel();
        let call = Call {
            patience,
            write,
            deadline,
            timeout: shared.timeout,
        };
        let (source, pool) = (Arc::clone(&shared.source), Arc::downgrade(shared));
        shared.start(permit, patience, |id, session| {
            Box::new(move |held| {
                // A caller that has given up needs no more work done.
                let outcome = (!sender.is_closed())
                    .then(|| catch_unwind(AssertUnwindSafe(|| source.carry_out(held, &call, body))));
                if matches!(outcome, Some(Err(_))) {
                    // A panic may have left a transaction open.
                    *held = None;
                }
                if let Some(pool) = pool.upgrade() {
                    pool.give_back(id, session, held);
                }
                drop(sender.send(outcome));
            })
        })?;
        let answer = if patience == Patience::Unbounded {
            receiver.await
        } else {
            timeout_at(deadline, receiver)
                .await
                .map_err(|_| Late::Silent(wait).error())?
        };
        let outcome: Option<Result<_, Box<dyn Any + Send>>> = answer.map_err(|_| Late::Closed.error())?;
        match outcome {
            Some(Ok(result)) => result,
            Some(Err(panic)) => resume_unwind(panic),
            None => Err(Late::Silent(wait).error()),
        }
    }

    /// Closes the connections and waits for that, a second at most. No further call is taken.
    pub(crate) fn close(&self) {
        let mut state = self.0.state();
        state.idle.clear();
        state.alive = None;
        let ended = state.ended.take();
        drop(state);
        if let Some(ended) = ended {
            // Nothing is ever sent: this is the end of all senders, or of the time.
            let _: Result<Infallible, _> = ended.recv_timeout(CLOSING);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a connection to be free.
    async fn permit(&self, wait: Duration, deadline: Instant) -> Result<OwnedSemaphorePermit, StoreError> {
        if let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(permit);
        }
        let acquire = Arc::clone(&self.slots).acquire_owned();
        tokio::pin!(acquire);
        loop {
            let now = Instant::now();
            if now >= deadline {
                return Err(Late::Waiting(wait).error());
            }
            self.abandon_stuck(now);
            tokio::select! {
                biased;
                permit = &mut acquire => return permit.map_err(|_| Late::Closed.error()),
                () = sleep_until(deadline.min(now + LOOK)) => {}
            }
        }
    }

    /// Gives up threads that a statement's limit on the server should have freed.
    fn abandon_stuck(&self, now: Instant) {
        let mut state = self.state();
        let left = (self.size * MOST_STUCK).saturating_sub(state.stuck);
        let stuck: Vec<u64> = state
            .busy
            .iter()
            .filter(|(_, busy)| busy.until.is_some_and(|until| until <= now))
            .map(|(id, _)| *id)
            .take(left)
            .collect();
        state.stuck += stuck.len();
        for id in &stuck {
            state.busy.remove(id);
        }
        drop(state);
        if !stuck.is_empty() {
            self.source.generation.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                connections = stuck.len(),
                "gave up database connections that stay silent"
            );
        }
    }

    /// Hands a job to an idle thread, or to a new one.
    fn start(
        self: &Arc<Self>,
        permit: OwnedSemaphorePermit,
        patience: Patience,
        job: impl FnOnce(u64, Session) -> Job,
    ) -> Result<(), StoreError> {
        let until = (patience != Patience::Unbounded)
            .then(|| self.source.connector.stuck_after(self.timeout))
            .flatten()
            .map(|after| Instant::now() + after);
        let mut state = self.state();
        let session = match state.idle.pop() {
            Some(session) => session,
            None => new_session(state.alive.clone())?,
        };
        state.calls += 1;
        let id = state.calls;
        state.busy.insert(
            id,
            Busy {
                _permit: permit,
                until,
            },
        );
        let job = job(id, session.clone());
        if session.send(job).is_err() {
            state.busy.remove(&id);
            return Err(Late::Closed.error());
        }
        Ok(())
    }

    /// Makes a thread's connection free for the next call, unless the thread was given up or the pool is closed.
    fn give_back(&self, id: u64, session: Session, held: &mut Option<Held>) {
        let mut state = self.state();
        if let Some(busy) = state.busy.remove(&id) {
            if state.alive.is_some() {
                state.idle.push(session);
            }
            drop(busy);
        } else {
            state.stuck = state.stuck.saturating_sub(1);
            drop(state);
            *held = None;
        }
    }
}

fn new_session(alive: Option<mpsc::Sender<Infallible>>) -> Result<Session, StoreError> {
    let Some(alive) = alive else {
        return Err(Late::Closed.error());
    };
    let (session, jobs) = mpsc::channel::<Job>();
    std::thread::Builder::new()
        .name("database".to_owned())
        .spawn(move || {
            let mut held = None;
            while let Ok(job) = jobs.recv() {
                job(&mut held);
            }
            drop(held);
            drop(alive);
        })
        .map_err(|error| Late::Thread(error).error())?;
    Ok(session)
}

/// What a thread must know of a call.
struct Call {
    patience: Patience,
    write: bool,
    deadline: Instant,
    timeout: Duration,
}

impl Source {
    /// Runs a call's body on the thread's connection, which is opened or replaced first if need be.
    fn carry_out<T>(
        &self,
        held: &mut Option<Held>,
        call: &Call,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = self.alive(held)?;
        let left = match call.patience {
            Patience::Unbounded => call.timeout * LONG,
            Patience::Short | Patience::Long => call.deadline.saturating_duration_since(Instant::now()),
        };
        let unlimited = call.patience == Patience::Unbounded;
        let result = connection.opened.run(call.write, left, unlimited, body);
        let (broken, lost) = (
            connection.opened.is_broken(),
            matches!(&result, Err(error) if error.is_lost()),
        );
        if broken || lost {
            *held = None;
        }
        if lost {
            self.generation.fetch_add(1, Ordering::Relaxed);
        }
        match result {
            // A statement that fails for the loss of its connection may be told as anything.
            Err(StoreError::Query(error)) if broken => Err(StoreError::Unavailable(error.into())),
            Err(StoreError::Migration(error)) if broken => Err(StoreError::Unavailable(error)),
            Err(error @ StoreError::Unavailable(_)) => Err(error),
            result => {
                self.outage.worked();
                result
            }
        }
    }

    /// The thread's connection, known to be alive within the last second.
    fn alive<'a>(&self, held: &'a mut Option<Held>) -> Result<&'a mut Held, StoreError> {
        let generation = self.generation.load(Ordering::Relaxed);
        let usable = held.take().filter(|held| held.generation == generation);
        let usable = usable.and_then(|mut held| {
            let fresh = held.used.elapsed() <= FRESH || held.opened.answers();
            if !fresh {
                self.generation.fetch_add(1, Ordering::Relaxed);
            }
            fresh.then_some(held)
        });
        let mut connection = match usable {
            Some(connection) => connection,
            None => Held {
                opened: self.connector.open()?,
                generation: self.generation.load(Ordering::Relaxed),
                used: std::time::Instant::now(),
            },
        };
        connection.used = std::time::Instant::now();
        Ok(held.insert(connection))
    }
}
