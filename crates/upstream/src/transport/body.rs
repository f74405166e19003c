//! The body of a request on its way to a provider.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::UploadError;
use crate::upload::UploadParts;

/// The body of a request.
pub(crate) enum RequestBody {
    /// The whole body; `None` once it is sent, or if it is empty.
    Whole(Option<Bytes>),
    /// A body that the client is still sending.
    Streamed(UploadParts),
}

impl RequestBody {
    /// Makes a whole body, perhaps an empty one.
    pub(super) fn whole(bytes: Option<&Bytes>) -> Self {
        Self::Whole(bytes.filter(|bytes| !bytes.is_empty()).cloned())
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let part = match &mut *self {
            Self::Whole(bytes) => bytes.take().map(Ok),
            Self::Streamed(parts) => ready!(parts.poll_next(context)),
        };
        Poll::Ready(part.map(|part| part.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                let length = bytes.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
            // If the client gave the length, the headers hold it.
            Self::Streamed(_) => SizeHint::default(),
        }
    }
}
