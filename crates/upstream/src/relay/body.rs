//! Bodies under way: those of callers, and those of providers.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::unfold;
use reqwest::Body;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::hold::Hold;
use crate::CallError;
use crate::coding::Parts;
use crate::gate::Place;

/// A caller's body.
pub enum RelayBody {
    /// All of it, perhaps nothing; may be sent again.
    Whole(Bytes),
    /// What comes; sent once.
    Stream(Upload),
}

/// A body that is still coming.
pub struct Upload {
    /// Its parts; an error breaks the call off.
    pub parts: mpsc::Receiver<io::Result<Bytes>>,
    /// Its length in bytes, if the caller told it.
    pub length: Option<u64>,
}

impl Default for RelayBody {
    fn default() -> Self {
        Self::Whole(Bytes::new())
    }
}

impl fmt::Debug for RelayBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => f.debug_tuple("Whole").field(&bytes.len()).finish(),
            Self::Stream(upload) => f.debug_tuple("Stream").field(&upload.length).finish(),
        }
    }
}

impl RelayBody {
    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    /// The length, if it is known and there is something to tell.
    pub(super) fn streamed_length(&self) -> Option<u64> {
        match self {
            Self::Whole(_) => None,
            Self::Stream(upload) => upload.length,
        }
    }

    /// The stream of what comes, which notes each part in `moved`.
    pub(super) fn into_stream(self, moved: &Moved) -> Option<Body> {
        let Self::Stream(upload) = self else {
            return None;
        };
        let state = (upload.parts, moved.clone());
        let parts = unfold(state, |(mut parts, moved)| async move {
            let part = parts.recv().await?;
            moved.note();
            Some((part, (parts, moved)))
        });
        Some(Body::wrap_stream(parts))
    }
}

/// When a part of a body last went through.
#[derive(Clone)]
pub(super) struct Moved(Arc<Mutex<Instant>>);

impl Moved {
    pub(super) fn now() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `work` comes to, unless nothing moves for `idle` or it is `deadline`.
    pub(super) async fn watch<T>(
        &self,
        work: impl Future<Output = T>,
        idle: Duration,
        deadline: Option<Instant>,
    ) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            let quiet = self.last() + idle;
            let until = deadline.map_or(quiet, |deadline| deadline.min(quiet));
            if let Ok(done) = timeout_at(until, &mut work).await {
                return Some(done);
            }
            if deadline == Some(until) || self.last() + idle <= until {
                return None;
            }
        }
    }
}

/// A provider's body. Nothing of it is kept: what is not asked for stays with the provider.
pub struct RelayedBody {
    parts: Parts,
    host: String,
    length: Option<u64>,
    idle: Duration,
    hold: Hold,
}

impl RelayedBody {
    pub(super) fn new(parts: Parts, host: String, length: Option<u64>, idle: Duration, place: Place) -> Self {
        Self {
            parts,
            host,
            length,
            idle,
            hold: Hold::of(length, place, idle),
        }
    }

    /// Its length in bytes, if the provider told it; for HEAD, of the body that there would be.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next part; `None` at the end. Fails if none comes for as long as an attempt may take, or none was asked for so long that
    /// the place was given back.
    pub async fn part(&mut self) -> Result<Option<Bytes>, CallError> {
        let host = || self.host.clone();
        if !self.hold.ask() {
            return Err(CallError::NotTaken { host: host() });
        }
        let part = timeout(self.idle, self.parts.next()).await;
        self.hold.answered();
        match part {
            Ok(Ok(part)) => Ok(part),
            Ok(Err(error)) => Err(error.into_call_error(&self.host)),
            Err(_) => Err(CallError::TimedOut { host: host() }),
        }
    }
}

impl fmt::Debug for RelayedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayedBody")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}
