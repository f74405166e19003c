//! The body of a proxied call: in hand if it is small, so that it can be sent again; else passed on as it comes.

use std::io;

use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use tokio::sync::mpsc;
use upstream::{RelayBody, Upload};

use crate::body::in_time;
use crate::error::ApiError;

/// Bytes that are taken in hand if the length is told: a stream would cost more.
const SMALL: usize = 64 << 10;
/// Bytes that are taken in hand if the call may have to be repeated.
const REPEATABLE: usize = 256 << 10;
/// Parts that wait for the provider; a caller who is faster has to wait.
const PARTS: usize = 2;

/// The body of `request`.
pub(super) async fn body(
    request: &HttpRequest,
    mut payload: web::Payload,
    repeatable: bool,
) -> Result<RelayBody, ApiError> {
    let headers = request.headers();
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if length.unwrap_or_default() == 0 && !headers.contains_key(TRANSFER_ENCODING) {
        return Ok(RelayBody::default());
    }
    let known = length.and_then(|length| usize::try_from(length).ok());
    let limit = if repeatable { REPEATABLE } else { SMALL };
    let in_hand = match known {
        Some(length) => length <= limit,
        None => length.is_none() && repeatable,
    };
    let mut start = BytesMut::new();
    let whole = in_time(async {
        while in_hand && start.len() <= limit {
            match payload.next().await {
                Some(part) => start.extend_from_slice(&part.map_err(|_| ApiError::BrokenBody)?),
                None => return Ok::<_, ApiError>(true),
            }
        }
        Ok(false)
    });
    if whole.await?? {
        return Ok(RelayBody::Whole(start.freeze()));
    }
    let (sender, parts) = mpsc::channel(PARTS);
    actix_web::rt::spawn(pass_on(start.freeze(), payload, sender));
    Ok(RelayBody::Stream(Upload { parts, length }))
}

/// Passes a body on until it ends, breaks, or nobody takes it any more.
async fn pass_on(start: Bytes, mut payload: web::Payload, to: mpsc::Sender<io::Result<Bytes>>) {
    if !start.is_empty() && to.send(Ok(start)).await.is_err() {
        return;
    }
    while let Some(part) = payload.next().await {
        let broken = part.is_err();
        if to.send(part.map_err(io::Error::other)).await.is_err() || broken {
            return;
        }
    }
}
