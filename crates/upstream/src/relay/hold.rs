//! How long an answer under way holds its place under the limits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use crate::gate::Place;

/// Bytes that are sure to leave for the caller at once, read or not: they fit into what the system keeps of a connection.
const SMALL: u64 = 64 << 10;

/// The place of an answer whose body is read by a caller.
pub(super) enum Hold {
    /// Until the body is dropped, which nobody can delay.
    Simple {
        _place: Place,
    },
    Watched(Watched),
}

/// A place that goes back when nobody asked for a part for too long: who does not read would hold it for ever.
pub(super) struct Watched {
    held: Arc<Mutex<Held>>,
    watch: AbortHandle,
}

struct Held {
    place: Option<Place>,
    /// Since when nobody asks; `None` while somebody does.
    quiet: Option<Instant>,
}

impl Hold {
    /// For a body of that length; `idle` is how long nobody need ask.
    pub(super) fn of(length: Option<u64>, place: Place, idle: Duration) -> Self {
        if length.is_some_and(|length| length <= SMALL) {
            return Self::Simple { _place: place };
        }
        let held = Arc::new(Mutex::new(Held {
            place: Some(place),
            quiet: Some(Instant::now()),
        }));
        let watch = tokio::spawn(watch(Arc::clone(&held), idle)).abort_handle();
        Self::Watched(Watched { held, watch })
    }

    /// A part is asked for; false if the place is gone.
    pub(super) fn ask(&self) -> bool {
        let Self::Watched(watched) = self else {
            return true;
        };
        let mut held = lock(&watched.held);
        held.quiet = None;
        held.place.is_some()
    }

    /// The part is there.
    pub(super) fn answered(&self) {
        if let Self::Watched(watched) = self {
            lock(&watched.held).quiet = Some(Instant::now());
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.abort();
        // An aborted task is dropped later.
        lock(&self.held).place = None;
    }
}

async fn watch(held: Arc<Mutex<Held>>, idle: Duration) {
    loop {
        let next = {
            let mut held = lock(&held);
            let until = held.quiet.unwrap_or_else(Instant::now) + idle;
            if until <= Instant::now() {
                held.place = None;
                return;
            }
            until
        };
        sleep_until(next).await;
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
