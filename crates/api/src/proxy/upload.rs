//! The body of a proxied request: buffered if it is small, so that it can be sent again; otherwise streamed.

use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use upstream::{ProxyRequestBody, UploadError};

use crate::body::{BODY_TIMEOUT, in_time};
use crate::error::ApiError;

/// The most bytes of a body of known length that is buffered: a stream would cost more.
const SMALL: usize = 64 << 10;
/// The most bytes of a body that is buffered because the request may be retried.
const REPEATABLE: usize = 256 << 10;
/// The lowest rate of a streamed body, in bytes per second. It may be slower for [`BODY_TIMEOUT`] in total, and faster parts make up for
/// slower ones. Otherwise a caller that sends a byte now and then would hold a permit of the connection for ever. The time that the
/// provider takes does not count.
const MIN_RATE: u32 = 500;
/// The number of parts that wait for the provider; a faster caller has to wait.
const PARTS: usize = 2;

/// Returns the body of `request`.
pub(super) async fn body(
    request: &HttpRequest,
    mut payload: web::Payload,
    repeatable: bool,
) -> Result<ProxyRequestBody, ApiError> {
    let headers = request.headers();
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if length.unwrap_or_default() == 0 && !headers.contains_key(TRANSFER_ENCODING) {
        return Ok(ProxyRequestBody::default());
    }
    let known = length.and_then(|length| usize::try_from(length).ok());
    let limit = if repeatable { REPEATABLE } else { SMALL };
    let buffered = match known {
        Some(length) => length <= limit,
        None => length.is_none() && repeatable,
    };
    let mut start = BytesMut::new();
    let whole = in_time(async {
        while buffered && start.len() <= limit {
            match payload.next().await {
                Some(part) => start.extend_from_slice(&part.map_err(|_| ApiError::BrokenBody)?),
                None => return Ok::<_, ApiError>(true),
            }
        }
        Ok(false)
    });
    if whole.await?? {
        return Ok(ProxyRequestBody::Whole(start.freeze()));
    }
    let (sender, parts) = mpsc::channel(PARTS);
    actix_web::rt::spawn(pass_on(start.freeze(), payload, sender));
    Ok(ProxyRequestBody::Stream { parts, length })
}

/// Forwards a body until it ends, breaks or is too slow, or the receiver is gone.
async fn pass_on(
    start: Bytes,
    mut payload: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin,
    to: mpsc::Sender<Result<Bytes, UploadError>>,
) {
    if !start.is_empty() && to.send(Ok(start)).await.is_err() {
        return;
    }
    let mut left = BODY_TIMEOUT;
    loop {
        let asked = Instant::now();
        let received = tokio::select! {
            // The request has ended, and this task ends with it.
            () = to.closed() => return,
            received = timeout(left, payload.next()) => received,
        };
        let part = match received {
            Ok(None) => return,
            Ok(Some(part)) => part.map_err(|_| UploadError::Broken),
            Err(_) => Err(UploadError::Slow {
                rate: MIN_RATE,
                seconds: BODY_TIMEOUT.as_secs(),
            }),
        };
        let bytes = part.as_ref().map_or(0, Bytes::len);
        let earned = Duration::from_secs(u64::try_from(bytes).unwrap_or(u64::MAX)) / MIN_RATE;
        left = left
            .saturating_sub(asked.elapsed())
            .saturating_add(earned)
            .min(BODY_TIMEOUT);
        let ended = part.is_err();
        if to.send(part).await.is_err() || ended {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream::unfold;
    use tokio::time::sleep;

    use super::*;

    /// The parts of a body that brings so many bytes each time, so often, and the time until its end.
    async fn passed(
        bytes: usize,
        pause: Duration,
        parts: u32,
    ) -> (Vec<Result<Bytes, UploadError>>, Duration) {
        let began = Instant::now();
        let body = unfold(0, async |count| {
            sleep(pause).await;
            (count < parts).then(|| (Ok(Bytes::from(vec![b'x'; bytes])), count + 1))
        });
        let (sender, mut receiver) = mpsc::channel(PARTS);
        let passing = pass_on(Bytes::new(), Box::pin(body), sender);
        let receiving = async {
            let mut all = Vec::new();
            while let Some(part) = receiver.recv().await {
                all.push(part);
            }
            all
        };
        let ((), all) = tokio::join!(passing, receiving);
        (all, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_body_times_out_after_half_a_minute() {
        let (parts, took) = passed(1, Duration::from_hours(1), 1).await;
        assert!(matches!(parts.as_slice(), [Err(UploadError::Slow { .. })]));
        assert_eq!(took, BODY_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickling_body_times_out_as_soon() {
        let (parts, took) = passed(1, Duration::from_secs(4), 1_000).await;
        assert_eq!(
            parts.last(),
            Some(&Err(UploadError::Slow {
                rate: 500,
                seconds: 30
            }))
        );
        assert!(took < BODY_TIMEOUT + Duration::from_secs(1), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_may_take_as_long_as_it_progresses() {
        let (parts, took) = passed(16 << 10, Duration::from_secs(20), 1_000).await;
        assert_eq!(
            (parts.len(), parts.iter().filter(|part| part.is_err()).count()),
            (1_000, 0)
        );
        assert!(took > Duration::from_hours(5), "{took:?}");
    }
}
