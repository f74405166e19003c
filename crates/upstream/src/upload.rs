//! The body of a proxied request on its way from the client to the provider.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, poll_fn};
use futures::{StreamExt, TryStreamExt};
use http_body::Frame;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// The body of a proxied request.
pub enum ProxyRequestBody {
    /// The whole body, perhaps empty; may be sent again.
    Whole(Bytes),
    /// A body that is still arriving from the client; sent once.
    Stream {
        /// Its parts; an error aborts the request.
        parts: mpsc::Receiver<Result<Bytes, UploadError>>,
        /// Its length in bytes, if the client gave it.
        length: Option<u64>,
    },
}

/// The parts of a streamed body on their way to the provider.
pub(crate) type UploadParts = BoxStream<'static, Result<Frame<Bytes>, UploadError>>;

/// Why the client's body did not arrive completely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The client's connection, or the framing of the body, broke.
    #[error("the body did not arrive whole")]
    Broken,
    /// The client stopped sending, or sent too slowly for too long.
    #[error("the body arrived too slowly: fewer than {rate} bytes a second, for {seconds} seconds")]
    Slow {
        /// The minimum bytes per second.
        rate: u32,
        /// How long a body may be slower, in seconds.
        seconds: u64,
    },
}

impl Default for ProxyRequestBody {
    fn default() -> Self {
        Self::Whole(Bytes::new())
    }
}

impl fmt::Debug for ProxyRequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => f.debug_tuple("Whole").field(&bytes.len()).finish(),
            Self::Stream { length, .. } => f.debug_tuple("Stream").field(length).finish(),
        }
    }
}

impl ProxyRequestBody {
    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    /// Returns the parts of a streamed body, each of which is noted in `progress`; `None` if the body is whole.
    pub(crate) fn into_parts(self, progress: &Progress) -> Option<UploadParts> {
        let Self::Stream { mut parts, .. } = self else {
            return None;
        };
        let progress = progress.clone();
        let noted = poll_fn(move |context| parts.poll_recv(context))
            .inspect(move |part| progress.note(part.as_ref().err().copied()));
        Some(noted.map_ok(Frame::data).boxed())
    }
}

/// The progress of a streamed body, for timeouts and errors.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Mutex<Passed>>);

struct Passed {
    /// When a part of the body last went out.
    last: Instant,
    /// Why no further part will come.
    error: Option<UploadError>,
}

impl Progress {
    pub(crate) fn begin() -> Self {
        Self(Arc::new(Mutex::new(Passed {
            last: Instant::now(),
            error: None,
        })))
    }

    fn note(&self, error: Option<UploadError>) {
        *self.0.lock() = Passed {
            last: Instant::now(),
            error,
        };
    }

    fn last(&self) -> Instant {
        self.0.lock().last
    }

    /// Returns why the body did not arrive completely. The HTTP client's own error does not always say, such as over HTTP/2.
    pub(crate) fn error(&self) -> Option<UploadError> {
        self.0.lock().error
    }

    /// Runs `work`; returns `None` if no part goes out for `idle`, or at the `deadline`.
    pub(crate) async fn watch<T>(
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
