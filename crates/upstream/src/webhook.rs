//! Sends webhooks to the endpoints of apps: one attempt, without redirects, by the address policy for webhooks.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Method;
use http::header::{self, HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::address::check_url;
use crate::error::shown_host;
use crate::prepare::{PreparedRequest, USER_AGENT};
use crate::retry_after::retry_after;
use crate::{RequestError, Upstream};

/// How much of a response's body is read, in bytes.
const MAX_READ: usize = 16 << 10;

/// A webhook to send. Its headers contain secrets, so it has no `Debug`.
#[derive(Clone)]
pub struct WebhookRequest {
    /// Where.
    pub url: Url,
    /// Signatures, and the endpoint's own headers.
    pub headers: HeaderMap,
    /// The body, JSON.
    pub body: Bytes,
    /// How long the attempt may take.
    pub timeout: Duration,
}

/// The response of a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookResponse {
    /// Its status.
    pub status: u16,
    /// The `webhook-delivery` header, by which a receiver controls deliveries.
    pub delivery_control: Option<String>,
    /// How long to wait, if it says so.
    pub retry_after: Option<Duration>,
    /// The first 16 KB of its body.
    pub body: Bytes,
}

impl Upstream {
    /// Checks that webhooks may be sent to an address, as far as that is known without resolving its name.
    pub fn check_webhook_address(&self, url: &Url) -> Result<(), RequestError> {
        if self.0.options.allow_private_webhooks {
            return Ok(());
        }
        check_url(url)
    }

    /// Sends a webhook once. A redirect is a response like any other: the signed body goes only where the app said.
    pub async fn send_webhook(&self, request: WebhookRequest) -> Result<WebhookResponse, RequestError> {
        let until = Instant::now() + request.timeout;
        let host = shown_host(&request.url);
        let prepared = prepared(request);
        let sent = self
            .0
            .transport
            .send_once(&prepared, self.0.options.allow_private_webhooks);
        let response = timeout_at(until, sent)
            .await
            .map_err(|_| RequestError::TimedOut(host))??;
        let (parts, mut body) = response.into_parts();
        let mut read = BytesMut::new();
        // What has arrived in time counts: the status decides, and the body is only shown.
        while read.len() < MAX_READ
            && let Ok(Some(Ok(frame))) = timeout_at(until, body.frame()).await
        {
            if let Ok(data) = frame.into_data() {
                read.extend_from_slice(data.get(..MAX_READ - read.len()).unwrap_or(&data));
            }
        }
        let control = parts.headers.get("webhook-delivery");
        Ok(WebhookResponse {
            status: parts.status.as_u16(),
            delivery_control: control.and_then(|value| value.to_str().ok()).map(str::to_owned),
            retry_after: retry_after(&parts.headers, self.0.clock.now()),
            body: read.freeze(),
        })
    }
}

fn prepared(request: WebhookRequest) -> PreparedRequest {
    let mut headers = request.headers;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.entry(header::USER_AGENT).or_insert(USER_AGENT);
    PreparedRequest {
        method: Method::POST,
        url: request.url,
        headers,
        body: Some(request.body),
        own_query: Vec::new(),
        carried: HeaderMap::new(),
    }
}
