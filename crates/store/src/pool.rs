//! A connection pool, in which each connection has a thread.
//!
//! libpq blocks and cannot be interrupted, so the caller of a call keeps its deadline, whatever the thread does: if the database stops
//! responding, calls fail in time, and there are no more threads than connections. A thread that stays blocked for longer than the server
//! allows a statement to run is abandoned, so that a new connection can replace it. The number of abandoned threads is limited.

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
pub(crate) enum TimeLimit {
    /// The reads and writes of a request.
    Short,
    /// Pages of a sync, exports, deletions in batches: three times as long.
    Long,
    /// Migrations and changes of tables, whose time depends on the size of the tables. Only the wait for a connection is limited.
    Unlimited,
}

/// A connection that was used within this time counts as alive: a check before each call would double the round trips.
const FRESH: Duration = Duration::from_secs(1);
/// How often a caller that waits for a connection looks for stuck threads.
const CHECK_STUCK: Duration = Duration::from_millis(250);
/// The most abandoned threads for each connection of the pool.
const MAX_STUCK: usize = 4;
/// How long closing a pool waits for its threads to close their connections.
const CLOSING: Duration = Duration::from_secs(1);

/// Why a call ended before the database responded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PoolError {
    #[error("no database connection became free within {0:?}")]
    NoConnection(Duration),
    #[error("the database did not respond within {0:?}")]
    NoResponse(Duration),
    #[error("the store is closed")]
    Closed,
    #[error("cannot start a thread for a connection")]
    Thread(#[source] std::io::Error),
}

impl PoolError {
    fn error(self) -> StoreError {
        StoreError::Unavailable(self.into())
    }
}

/// A pool of connections to one database.
#[derive(Debug)]
pub(crate) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    connector: Connector,
    outage: Outage,
    /// Increases when a connection is lost. Idle ones of earlier generations are likely lost too, and are opened anew.
    generation: AtomicU64,
    /// One permit per connection. Callers wait for one in turn, without a thread.
    slots: Arc<Semaphore>,
    size: usize,
    /// How long a [`TimeLimit::Short`] call may take.
    timeout: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Session>,
    busy: HashMap<u64, Busy>,
    calls: u64,
    stuck: usize,
    /// Each thread has a clone. `None` once the pool is closed.
    alive: Option<mpsc::Sender<Infallible>>,
    /// Disconnected once every thread has ended.
    ended: Option<mpsc::Receiver<Infallible>>,
}

/// A call that is running on a thread.
#[derive(Debug)]
struct Busy {
    _permit: OwnedSemaphorePermit,
    /// When the thread counts as stuck; `None` for never.
    until: Option<Instant>,
}

type Job = Box<dyn FnOnce(&mut Option<OpenConnection>) + Send>;
type Session = mpsc::Sender<Job>;

/// A thread's open connection.
struct OpenConnection {
    opened: Opened,
    used: std::time::Instant,
    generation: u64,
}

impl Pool {
    /// Creates a pool of at most `size` connections, which are opened when they are needed.
    pub(crate) fn new(connector: Connector, size: usize, timeout: Duration) -> Self {
        let (alive, ended) = mpsc::channel();
        let state = State {
            alive: Some(alive),
            ended: Some(ended),
            ..State::default()
        };
        Self(Arc::new(Shared {
            outage: Outage::new(connector.what()),
            connector,
            generation: AtomicU64::new(0),
            slots: Arc::new(Semaphore::new(size)),
            size,
            timeout,
            state: Mutex::new(state),
        }))
    }

    /// Runs `body` on a connection, in one transaction if `write`.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        limit: TimeLimit,
        write: bool,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let began = std::time::Instant::now();
        let outcome = self.attempt(limit, write, body).await;
        if let Err(error) = &outcome {
            self.0.outage.failed(error, began);
        }
        outcome
    }

    async fn attempt<T: Send + 'static>(
        &self,
        limit: TimeLimit,
        write: bool,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = &self.0;
        let long = shared.timeout * LONG;
        let wait = match limit {
            TimeLimit::Short => shared.timeout,
            TimeLimit::Long | TimeLimit::Unlimited => long,
        };
        let deadline = Instant::now() + wait;
        let permit = shared.permit(wait, deadline).await?;
        let (sender, receiver) = oneshot::channel();
        let pool = Arc::clone(shared);
        shared.start(permit, limit, |id, session| {
            Box::new(move |held| {
                // The caller may have given up.
                let outcome = (!sender.is_closed()).then(|| {
                    catch_unwind(AssertUnwindSafe(|| {
                        pool.execute(held, limit, write, deadline, body)
                    }))
                });
                if matches!(outcome, Some(Err(_))) {
                    // A panic may have left a transaction open.
                    *held = None;
                }
                pool.release(id, session, held);
                drop(sender.send(outcome));
            })
        })?;
        let response = if limit == TimeLimit::Unlimited {
            receiver.await
        } else {
            timeout_at(deadline, receiver)
                .await
                .map_err(|_| PoolError::NoResponse(wait).error())?
        };
        let outcome: Option<Result<_, Box<dyn Any + Send>>> =
            response.map_err(|_| PoolError::Closed.error())?;
        match outcome {
            Some(Ok(result)) => result,
            Some(Err(panic)) => resume_unwind(panic),
            None => Err(PoolError::NoResponse(wait).error()),
        }
    }

    /// Closes the connections and waits for that, for a second at most. Later calls fail.
    pub(crate) fn close(&self) {
        if let Some(ended) = self.begin_close() {
            // Nothing is ever sent: this returns when all senders are dropped, or after the timeout.
            let _: Result<Infallible, _> = ended.recv_timeout(CLOSING);
        }
    }

    /// Closes idle connections at once, and the others when their calls end. The receiver is disconnected once all are closed.
    fn begin_close(&self) -> Option<mpsc::Receiver<Infallible>> {
        let mut state = self.0.state();
        state.idle.clear();
        state.alive = None;
        state.ended.take()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // A running call shares the state, and would keep idle connections open.
        drop(self.begin_close());
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a connection is free.
    async fn permit(&self, wait: Duration, deadline: Instant) -> Result<OwnedSemaphorePermit, StoreError> {
        if let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(permit);
        }
        let acquire = Arc::clone(&self.slots).acquire_owned();
        tokio::pin!(acquire);
        loop {
            let now = Instant::now();
            if now >= deadline {
                return Err(PoolError::NoConnection(wait).error());
            }
            self.abandon_stuck(now);
            tokio::select! {
                biased;
                permit = &mut acquire => return permit.map_err(|_| PoolError::Closed.error()),
                () = sleep_until(deadline.min(now + CHECK_STUCK)) => {}
            }
        }
    }

    /// Abandons threads that the server's statement timeout should have freed.
    fn abandon_stuck(&self, now: Instant) {
        let mut state = self.state();
        let left = (self.size * MAX_STUCK).saturating_sub(state.stuck);
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
            self.generation.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                connections = stuck.len(),
                "abandoned database connections that do not respond"
            );
        }
    }

    /// Starts a job on an idle thread, or on a new one.
    fn start(
        &self,
        permit: OwnedSemaphorePermit,
        limit: TimeLimit,
        job: impl FnOnce(u64, Session) -> Job,
    ) -> Result<(), StoreError> {
        let until = (limit != TimeLimit::Unlimited)
            .then(|| self.connector.stuck_after(self.timeout))
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
            return Err(PoolError::Closed.error());
        }
        Ok(())
    }

    /// Makes a thread's connection free for the next call, unless the thread was abandoned or the pool is closed.
    fn release(&self, id: u64, session: Session, held: &mut Option<OpenConnection>) {
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

    /// Runs a call's body on the thread's connection. Opens or replaces the connection first if needed.
    fn execute<T>(
        &self,
        held: &mut Option<OpenConnection>,
        limit: TimeLimit,
        write: bool,
        deadline: Instant,
        body: impl FnOnce(&mut DbConn) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = self.alive(held)?;
        let unlimited = limit == TimeLimit::Unlimited;
        let left = if unlimited {
            self.timeout * LONG
        } else {
            deadline.saturating_duration_since(Instant::now())
        };
        let result = connection.opened.run(write, left, unlimited, body);
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
            // A statement that fails because its connection is lost may be reported as any error.
            Err(StoreError::Query(error)) if broken => Err(StoreError::Unavailable(error.into())),
            Err(StoreError::Migration(error)) if broken => Err(StoreError::Unavailable(error)),
            Err(error @ StoreError::Unavailable(_)) => Err(error),
            result => {
                self.outage.worked();
                result
            }
        }
    }

    /// Returns the thread's connection, which was alive within the last second.
    fn alive<'a>(&self, held: &'a mut Option<OpenConnection>) -> Result<&'a mut OpenConnection, StoreError> {
        let generation = self.generation.load(Ordering::Relaxed);
        let usable = held.take().filter(|held| held.generation == generation);
        let usable = usable.and_then(|mut held| {
            let fresh = held.used.elapsed() <= FRESH || held.opened.responds();
            if !fresh {
                self.generation.fetch_add(1, Ordering::Relaxed);
            }
            fresh.then_some(held)
        });
        let mut connection = match usable {
            Some(connection) => connection,
            None => OpenConnection {
                opened: self.connector.open()?,
                generation: self.generation.load(Ordering::Relaxed),
                used: std::time::Instant::now(),
            },
        };
        connection.used = std::time::Instant::now();
        Ok(held.insert(connection))
    }
}

fn new_session(alive: Option<mpsc::Sender<Infallible>>) -> Result<Session, StoreError> {
    let Some(alive) = alive else {
        return Err(PoolError::Closed.error());
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
        .map_err(|error| PoolError::Thread(error).error())?;
    Ok(session)
}
