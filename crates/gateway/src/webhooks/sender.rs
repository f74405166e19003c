//! Sends deliveries of one endpoint: signs them, and says what follows from each response.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::{DeliveryAttempt, DeliveryStatus, Endpoint, EndpointSlot, Event, LONGEST_PAUSE, Timestamp};
use registry::Registry;
use secrecy::ExposeSecret;
use signature::{nango, standard};
use store::deliveries::{AttemptEnd, DueDelivery, ThenDelivery};
use upstream::{HeaderMap, HeaderName, HeaderValue, RequestError, WebhookRequest, WebhookResponse};

use super::body::body_of;
use super::secrets::OpenSecrets;
use super::settings::DEFAULT_TIMEOUT_SECONDS;
use crate::error::Result;
use crate::gateway::Gateway;

/// Sends deliveries of an endpoint as it was when this was made.
pub struct Sender {
    gateway: Arc<Gateway>,
    endpoint: Endpoint,
    secrets: OpenSecrets,
}

/// An attempt that was made.
#[derive(Debug, Clone)]
pub struct Attempted {
    /// What to store.
    pub end: AttemptEnd,
    /// What it says of the endpoint.
    pub effect: Effect,
    /// When the app last changed the endpoint before the attempt.
    pub sent_to: Timestamp,
}

/// What an attempt says of its endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// It works.
    Works,
    /// It does not. The wait is the receiver's.
    Fails(Option<Duration>),
    /// It wants no more deliveries, for this reason.
    Disable(String),
    /// Nothing: the delivery went to the URL of one connection, or none was sent.
    Nothing,
}

impl Sender {
    /// Opens the endpoint's secrets.
    pub async fn open(gateway: Arc<Gateway>, endpoint: Endpoint) -> Result<Self> {
        let secrets = OpenSecrets::read(&gateway, &endpoint).await?;
        Ok(Self {
            gateway,
            endpoint,
            secrets,
        })
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Makes one attempt of a delivery.
    pub async fn attempt(&self, delivery: &DueDelivery) -> Attempted {
        let (at, began) = (self.gateway.clock.now(), tokio::time::Instant::now());
        let event = &delivery.event;
        let answer = match self.request(event, at) {
            Ok(request) => self
                .gateway
                .upstream
                .send_webhook(request)
                .await
                .map_err(|error| described(&error)),
            Err(reason) => Err(reason),
        };
        let duration_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let overridden = self.override_of(event).is_some();
        let (then, effect) = self.judge(delivery, answer.as_ref().ok(), overridden);
        let (response, error) = match answer {
            Ok(response) => (Some(response), None),
            Err(error) => (None, Some(error)),
        };
        let attempt = DeliveryAttempt {
            attempt: delivery.attempts + 1,
            at,
            duration_ms,
            status: response.as_ref().map(|response| response.status.into()),
            error,
            response: response.map(|response| shown(&response.body)),
        };
        Attempted {
            end: AttemptEnd {
                delivery: delivery.number,
                attempt,
                tries: delivery.tries,
                then,
            },
            effect,
            sent_to: self.endpoint.updated_at,
        }
    }

    /// What follows: for the delivery, and for the endpoint.
    fn judge(
        &self,
        delivery: &DueDelivery,
        response: Option<&WebhookResponse>,
        overridden: bool,
    ) -> (ThenDelivery, Effect) {
        let of_endpoint = |effect| if overridden { Effect::Nothing } else { effect };
        let ended = ThenDelivery::Ended;
        let again = |wait: Option<Duration>| self.again(delivery, wait);
        let Some(response) = response else {
            return (again(None), of_endpoint(Effect::Fails(None)));
        };
        let wait = response.retry_after.map(|wait| wait.min(LONGEST_PAUSE));
        let accepted = (200..300).contains(&response.status);
        match (response.delivery_control.as_deref(), response.status) {
            (Some("disable"), _) | (_, 410) if !overridden => {
                let reason = match response.status {
                    410 => "the receiver responded with 410 Gone",
                    _ => "the receiver responded with `webhook-delivery: disable`",
                };
                let status = if accepted {
                    DeliveryStatus::Delivered
                } else {
                    DeliveryStatus::Aborted
                };
                (ended(status), Effect::Disable(reason.to_owned()))
            }
            (Some("disable" | "abort-message"), _) | (_, 410) if !accepted => {
                (ended(DeliveryStatus::Aborted), of_endpoint(Effect::Works))
            }
            _ if accepted => (ended(DeliveryStatus::Delivered), of_endpoint(Effect::Works)),
            _ => (again(wait), of_endpoint(Effect::Fails(wait))),
        }
    }

    /// The next attempt by the endpoint's schedule, at least as late as the receiver asks for; or the end.
    fn again(&self, delivery: &DueDelivery, wait: Option<Duration>) -> ThenDelivery {
        let Some(scheduled) = self.endpoint.wait_before(delivery.tries + 1) else {
            return ThenDelivery::Ended(DeliveryStatus::Failed);
        };
        // Up to a tenth more, so that deliveries that failed together do not come together again.
        let jitter = scheduled.mul_f64(rand::random_range(0.0..0.1));
        let wait = (scheduled + jitter).max(wait.unwrap_or_default());
        ThenDelivery::Again(self.gateway.clock.now().plus(wait))
    }

    /// The URL of the event's connection, if this endpoint sends to it.
    fn override_of<'e>(&self, event: &'e Event) -> Option<&'e str> {
        let own = event.connection.as_ref()?.url_override.as_deref();
        own.filter(|_| self.endpoint.slot == Some(EndpointSlot::Primary))
    }

    /// The signed request, or why there is none.
    fn request(&self, event: &Event, now: Timestamp) -> std::result::Result<WebhookRequest, String> {
        let url = self
            .override_of(event)
            .or(self.endpoint.settings.url.as_deref())
            .and_then(|url| url.parse().ok())
            .ok_or("the endpoint has no URL")?;
        if self.secrets.lost {
            return Err(
                "a secret is lost with the encryption key that sealed it: rotate the endpoint's secret, set its headers again, and rotate \
                 the environment's signing key"
                    .to_owned(),
            );
        }
        let body = body(&self.endpoint, event, &self.gateway.registry)
            .ok_or("the endpoint's format has no body for this type of event")?;
        let headers = self.headers(event, &body, now)?;
        let timeout = self
            .endpoint
            .settings
            .timeout_seconds
            .unwrap_or(DEFAULT_TIMEOUT_SECONDS);
        Ok(WebhookRequest {
            url,
            headers,
            body,
            timeout: Duration::from_secs(timeout.unsigned_abs()),
        })
    }

    fn headers(&self, event: &Event, body: &[u8], now: Timestamp) -> std::result::Result<HeaderMap, String> {
        let valid = |expires_at: &Option<Timestamp>| expires_at.is_none_or(|end| now < end);
        let mut headers = HeaderMap::new();
        let mut set = |name: &str, value: &str| {
            let name = HeaderName::try_from(name).map_err(|_| "a header's name is invalid")?;
            let mut value = HeaderValue::from_str(value).map_err(|_| "a header's value is invalid")?;
            value.set_sensitive(true);
            headers.insert(name, value);
            Ok::<(), &str>(())
        };
        for (name, value) in &self.secrets.headers {
            set(name, value.expose_secret())?;
        }
        let keys = self.secrets.keys.iter().filter(|(_, end)| valid(end));
        let keys = keys.map(|(key, _)| key);
        let signed = standard::sign(keys, &event.id.to_string(), now, body);
        for (name, value) in signed.map_err(|error| error.to_string())?.headers() {
            set(name, value)?;
        }
        // Nango's headers have room for one signature: the current key's.
        if let Some((key, _)) = self.secrets.environment_keys.first() {
            for (name, value) in nango::sign(key, body).headers() {
                set(name, value)?;
            }
        }
        Ok(headers)
    }
}

/// The body of an event for an endpoint.
fn body(endpoint: &Endpoint, event: &Event, registry: &Registry) -> Option<Bytes> {
    let body = body_of(endpoint.settings.format, event, registry)?;
    Some(serde_json::to_vec(&body).ok()?.into())
}

/// The beginning of a response's body, as text.
fn shown(body: &[u8]) -> String {
    // PostgreSQL's text has no U+0000.
    String::from_utf8_lossy(body).replace('\0', "\u{fffd}")
}

/// Why an attempt has no response.
fn described(error: &RequestError) -> String {
    if let Some(refused) = refused_address(error) {
        return refused;
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The rule that the address of an endpoint breaks, if the error says so.
pub(super) fn refused_address(error: &RequestError) -> Option<String> {
    const WAY_OUT: &str = "the operator allows that with webhooks.allow_private_addresses \
                           (TRUNKLINE_WEBHOOKS__ALLOW_PRIVATE_ADDRESSES)";
    match error {
        RequestError::AddressRefused(host) => Some(format!("{host} is not a public address: {WAY_OUT}")),
        RequestError::PlainHttp(host) => Some(format!(
            "{host} would get events over plain http, which everyone on the way can read: use https, or {WAY_OUT}"
        )),
        _ => None,
    }
}
