//! Bodies under way: those of callers, and those of providers.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
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
    /// Its parts; an error breaks the request off.
    pub parts: mpsc::Receiver<Result<Bytes, UploadError>>,
    /// Its length in bytes, if the caller told it.
    pub length: Option<u64>,
}

/// Why a caller's body did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The caller's connection, or the framing of the body, broke.
    #[error("the body did not arrive whole")]
    Broken,
    /// The caller stopped sending, or sent next to nothing for too long.
    #[error("the body arrived too slowly: fewer than {rate} bytes a second, for {seconds} seconds")]
    Slow {
        /// Bytes a second that are enough.
        rate: u32,
        /// For how long a body may be slower.
        seconds: u64,
    },
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

    /// The parts of a body that is still coming, each of which is noted in `progress`; `None` if all of it is there.
    pub(super) fn into_parts(self, progress: &Progress) -> Option<UploadParts> {
        match self {
            Self::Whole(_) => None,
            Self::Stream(upload) => Some(UploadParts {
                parts: upload.parts,
                progress: progress.clone(),
            }),
        }
    }
}

/// The parts of an upload on their way to the provider.
pub(crate) struct UploadParts {
    parts: mpsc::Receiver<Result<Bytes, UploadError>>,
    progress: Progress,
}

impl UploadParts {
    /// Polls for the next part; `None` at the end.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, UploadError>>> {
        let part = ready!(self.parts.poll_recv(context));
        if let Some(part) = &part {
            self.progress.note(part.as_ref().err().copied());
        }
        Poll::Ready(part)
    }
}

/// How far a request's body has come.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<Passed>>);

struct Passed {
    /// When a part of the body last went through.
    last: Instant,
    /// Why no further part will come.
    error: Option<UploadError>,
}

impl Progress {
    pub(super) fn begin() -> Self {
        Self(Arc::new(Mutex::new(Passed {
            last: Instant::now(),
            error: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Passed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, error: Option<UploadError>) {
        *self.lock() = Passed {
            last: Instant::now(),
            error,
        };
    }

    fn last(&self) -> Instant {
        self.lock().last
    }

    /// Why the body did not come to its end. The HTTP client's own error does not always tell, such as over HTTP/2.
    pub(super) fn error(&self) -> Option<UploadError> {
        self.lock().error
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
