//! Logs when the database stops responding, and when it responds again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::StoreError;

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    /// When the last outage ended.
    ended: Option<Instant>,
}

/// Whether the database responds, as calls show it.
#[derive(Debug)]
pub(crate) struct Outage {
    /// What does or does not respond, for the log.
    what: &'static str,
    state: Mutex<State>,
    /// Whether there is an outage, so that calls need not lock the state.
    open: AtomicBool,
}

impl Outage {
    pub(crate) fn new(what: &'static str) -> Self {
        Self {
            what,
            state: Mutex::default(),
            open: AtomicBool::new(false),
        }
    }

    /// Records the error of a call that began at `began`, and logs the first one of an outage. A call that began before the end of an
    /// outage belongs to it.
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
                "the {} does not respond; calls that need it fail until it does",
                self.what
            );
        }
    }

    /// Records that the database responded.
    pub(crate) fn worked(&self) {
        if !self.open.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = state.since.take() {
            state.ended = Some(Instant::now());
            self.open.store(false, Ordering::Release);
            let seconds = since.elapsed().as_secs();
            tracing::info!(seconds, "the {} responds again", self.what);
        }
    }
}
