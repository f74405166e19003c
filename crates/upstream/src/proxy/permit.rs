//! How long a proxied response keeps its permit.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use crate::limiter::Permit;

/// Bytes that are sure to leave for the client at once, read or not: they fit into the system's buffers of a connection.
const SMALL: u64 = 64 << 10;

/// The permit of a response whose body a client reads. It is released when the client reads nothing for too long: otherwise the client
/// could keep it forever.
pub(super) struct PermitGuard {
    state: Arc<Mutex<State>>,
    /// `None` for a small body, which no client can delay.
    watch: Option<AbortHandle>,
}

struct State {
    permit: Option<Permit>,
    /// Since when the client has not read; `None` while it does.
    idle_since: Option<Instant>,
}

impl PermitGuard {
    /// For a body of that length; `idle` is how long the client need not read.
    pub(super) fn new(length: Option<u64>, permit: Permit, idle: Duration) -> Self {
        let state = Arc::new(Mutex::new(State {
            permit: Some(permit),
            idle_since: Some(Instant::now()),
        }));
        let small = length.is_some_and(|length| length <= SMALL);
        let watch = (!small).then(|| tokio::spawn(watch(Arc::clone(&state), idle)).abort_handle());
        Self { state, watch }
    }

    /// Notes that the client waits for a part; returns false if the permit was released.
    pub(super) fn begin_read(&self) -> bool {
        let mut state = self.state.lock();
        state.idle_since = None;
        state.permit.is_some()
    }

    /// Notes that the client has its part.
    pub(super) fn end_read(&self) {
        self.state.lock().idle_since = Some(Instant::now());
    }
}

impl Drop for PermitGuard {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
        // An aborted task is dropped later.
        self.state.lock().permit = None;
    }
}

async fn watch(state: Arc<Mutex<State>>, idle: Duration) {
    loop {
        let next = {
            let mut state = state.lock();
            let until = state.idle_since.unwrap_or_else(Instant::now) + idle;
            if until <= Instant::now() {
                state.permit = None;
                return;
            }
            until
        };
        sleep_until(next).await;
    }
}
