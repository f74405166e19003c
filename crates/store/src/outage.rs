//! One log line when the database stops answering, and one when it answers again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::StoreError;

#[derive(Debug)]
struct State {
    since: Option<Instant>,
    /// When the last outage ended.
    ended: Option<Instant>,
}

/// Whether the database is away, as its calls show it.
#[derive(Debug)]
pub(crate) struct Outage {
    /// What is used: `database`, or which of SQLite's two ways to it.
    what: &'static str,
    state: Mutex<State>,
    /// Whether there is an outage, to be asked by every call.
    open: AtomicBool,
}

impl Outage {
    pub(crate) const fn new(what: &'static str) -> Self {
        Self {
            what,
            state: Mutex::new(State {
                since: None,
                ended: None,
            }),
            open: AtomicBool::new(false),
        }
    }

    /// Notes the error of a call that began then; the first one that says that the database is away is logged. What began before the
    /// end of an outage belongs to that one.
    pub(crate) fn failed(&self, error: &StoreError, began: Instant) {
        if !matches!(error, StoreError::Unavailable(_)) {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.since.is_none() && state.ended.is_none_or(|ended| ended < began) {
            state.since = Some(Instant::now());
            self.open.store(true, Ordering::Release);
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(
                error = cause.unwrap_or_default(),
                "the {} does not answer; calls that need it fail until it does",
                self.what
            );
        }
    }

    /// Notes that a call was answered.
    pub(crate) fn worked(&self) {
        if !self.open.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = state.since.take() {
            state.ended = Some(Instant::now());
            self.open.store(false, Ordering::Release);
            let seconds = since.elapsed().as_secs();
            tracing::info!(seconds, "the {} answers again", self.what);
        }
    }
}
