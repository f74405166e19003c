//! Receives what providers send: verifies a request, and stores its events before the sender gets a response.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use domain::{IncomingEventId, IncomingRequest, Timestamp};
use registry::Webhooks;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use signature::{Candidates, ChallengeResponse, Headers, Message, Refused, Request, Verified, verify};
use store::StoreError;
use store::incoming::{DedupeKeys, NewIncoming};

use super::address::keep;
use crate::connection_webhooks::Kind;
use crate::error::{GatewayError, Result};
use crate::gateway::{Gateway, Receiver, Verifier, WebhookAddress};
use crate::inbox::Stored;

/// The most bytes of a request's body.
pub const MAX_WEBHOOK_BODY: usize = 256 << 10;
/// The most events of one request.
const MOST_EVENTS: usize = 1_000;
/// The most bytes that the events of one request take, when each has its own copy of what surrounds their list.
const MOST_BYTES: usize = 4 << 20;
/// The most bytes of the body of an event that could not be verified.
const MOST_UNVERIFIED: usize = 64 << 10;
/// The longest id of an event that is stored as it is, in bytes, and the longest type.
const LONGEST_ID: usize = 200;
const LONGEST_TYPE: usize = 255;

/// A request at a webhook address.
pub struct WebhookRequest {
    /// The method in capital letters.
    pub method: String,
    /// The public URL, with path and query as they arrived.
    pub url: String,
    /// The headers.
    pub headers: Headers,
    /// The raw body.
    pub body: Bytes,
}

/// What a request was.
#[derive(Debug)]
pub enum Received {
    /// Events, which are stored.
    Events,
    /// A test of the address, with the response that the provider expects.
    Challenge(ChallengeResponse),
}

/// Receives a request at a webhook address.
///
/// [`GatewayError::WebhookRefused`] if it cannot be verified, [`GatewayError::WebhookBacklog`] if too many events wait.
pub async fn receive(
    gateway: &Gateway,
    address: &WebhookAddress,
    request: WebhookRequest,
) -> Result<Received> {
    let unknown = || GatewayError::NotFound("there is no such webhook address".to_owned());
    let receiver = gateway.receiver(address).await?.ok_or_else(unknown)?;
    let integration = &receiver.integration;
    let webhooks = integration.provider.webhooks.as_ref().ok_or_else(unknown)?;
    let challenge = request.message().challenge(webhooks);
    if let Some(challenge) = challenge.filter(|_| has_method(webhooks, &request.method)) {
        let own = receiver.own.as_ref().and_then(|own| own.first());
        if let (Some(secret), Some(own)) = (&challenge.secret, own) {
            // Keep only the first secret, and only if the connection has no other: anyone who learns the address can send one.
            if own.candidates.is_empty()
                && keep(gateway, &own.connection, Kind::Challenge, secret, None).await?
            {
                gateway.caches.forget_secrets();
            }
        }
        return Ok(Received::Challenge(challenge));
    }
    let now = gateway.clock.now();
    let refuse = |reason| {
        gateway
            .refusals
            .note(receiver.environment, &integration.key, reason);
        match reason {
            Refused::TooLarge(_) => GatewayError::WebhookTooLarge,
            _ => GatewayError::WebhookRefused,
        }
    };
    let verifiers = match &receiver.own {
        Some(own) => Arc::clone(own),
        // Refuse before reading connections if no secret could verify the request.
        None if let Err(reason) =
            verify(webhooks, &request.message(), &Candidates::default(), false, now)
            && !matches!(reason, Refused::NoSecret) =>
        {
            return Err(refuse(reason));
        }
        None => match request.account(webhooks) {
            Some(account) => {
                gateway
                    .verifiers(receiver.environment, integration, &account)
                    .await?
            }
            None => Arc::default(),
        },
    };
    let accepted = accept(webhooks, &receiver, &verifiers, &request, now).map_err(refuse)?;
    let events = events(webhooks, &receiver, &request, &accepted, now)?;
    // A task, because it also stores events of other requests: a sender that disconnects must not cancel it.
    let (inbox, store) = (Arc::clone(&gateway.inbox), gateway.store.clone());
    let stored = gateway.spawn(async move { inbox.store(&store, events, now).await });
    let stopped = |_| StoreError::Busy("the events were not stored".into());
    match stored.await.map_err(stopped)?? {
        Stored::Full => Err(GatewayError::WebhookBacklog),
        Stored::Done { new } => {
            if new {
                gateway.incoming_due.notify_one();
            }
            Ok(Received::Events)
        }
    }
}

impl fmt::Debug for WebhookRequest {
    /// Shows the method and the size: the URL may have a secret in it, and all else may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookRequest({}, {} bytes)", self.method, self.body.len())
    }
}

impl WebhookRequest {
    fn message(&self) -> Message<'_> {
        Message::new(Request {
            method: &self.method,
            url: &self.url,
            headers: &self.headers,
            body: &self.body,
        })
    }

    /// Returns the value by which the provider's file finds the connection.
    fn account(&self, webhooks: &Webhooks) -> Option<String> {
        let matched = webhooks.connection.as_ref()?;
        self.message().text(&matched.from)
    }
}

fn has_method(webhooks: &Webhooks, method: &str) -> bool {
    webhooks.methods.iter().any(|known| known.as_str() == method)
}

/// A connection that a genuine request is for, or none; `verified` is `None` if there was no secret to verify it with.
struct Accepted<'a> {
    verifier: Option<&'a Verifier>,
    verified: Option<Verified>,
}

/// Verifies a request with the secrets of each connection that it may be for.
fn accept<'a>(
    webhooks: &Webhooks,
    receiver: &Receiver,
    verifiers: &'a [Verifier],
    request: &WebhookRequest,
    now: Timestamp,
) -> Result<Vec<Accepted<'a>>, Refused> {
    let message = request.message();
    let own = receiver.own.is_some();
    if verifiers.is_empty() {
        let verified = match verify(webhooks, &message, &receiver.shared, false, now) {
            // It is kept until a connection fits, and verified then.
            Err(Refused::NoSecret) if is_kept(webhooks, request) => None,
            verified => Some(verified?),
        };
        return Ok(vec![Accepted {
            verifier: None,
            verified,
        }]);
    }
    let mut accepted = Vec::new();
    let mut refused = None;
    for verifier in verifiers {
        match verify(webhooks, &message, &verifier.candidates, own, now) {
            Ok(verified) => accepted.push(Accepted {
                verifier: Some(verifier),
                verified: Some(verified),
            }),
            Err(reason) => refused = Some(reason),
        }
    }
    match refused {
        Some(reason) if accepted.is_empty() => Err(reason),
        _ => Ok(accepted),
    }
}

/// Whether a signed request that fits no connection can be kept and verified later. One that brings a secret itself cannot, since secrets
/// are not stored with it.
fn is_kept(webhooks: &Webhooks, request: &WebhookRequest) -> bool {
    webhooks.connection.is_some()
        && !webhooks.needs_own_address()
        && !webhooks.sends_secrets()
        && request.body.len() <= MOST_UNVERIFIED
}

/// Makes the events to store: each event of the request for each connection.
fn events(
    webhooks: &Webhooks,
    receiver: &Receiver,
    request: &WebhookRequest,
    accepted: &[Accepted<'_>],
    now: Timestamp,
) -> Result<Vec<NewIncoming>> {
    let message = request.message();
    let found = message.events(webhooks);
    // An event that cannot be verified yet must stay whole.
    let whole = accepted.iter().any(|accepted| accepted.verified.is_none());
    let parts = if found.len() > 1 && !whole {
        parts(webhooks, message.json()).ok_or(GatewayError::WebhookTooLarge)?
    } else {
        vec![request.body.to_vec()]
    };
    let names = webhooks.header_names();
    let headers: BTreeMap<String, String> = names
        .iter()
        .filter_map(|name| Some((name.clone(), request.headers.get(name)?.replace('\0', "\u{fffd}"))))
        .collect();
    let url = if receiver.own.is_some() {
        without_path(&request.url)
    } else {
        request.url.clone()
    };
    let url = without_secrets(webhooks, &url);
    let mut events = Vec::with_capacity(parts.len() * accepted.len());
    let mut seen = HashSet::new();
    for (index, (event, body)) in found.iter().zip(parts).enumerate() {
        let id = webhooks.id.as_ref().and_then(|id| event.text(id));
        let id = id.map(|id| {
            if seen.insert(id.clone()) {
                id
            } else {
                // The id of the whole request: each of its events counts.
                format!("{id}#{index}")
            }
        });
        let kind = webhooks.kind.as_ref().and_then(|kind| event.text(kind));
        for Accepted { verifier, verified } in accepted {
            let nonce = verified.as_ref().and_then(|verified| verified.nonce.as_ref());
            events.push(NewIncoming {
                id: IncomingEventId::new(now),
                environment: receiver.environment,
                integration: receiver.integration.key.clone(),
                provider: receiver.integration.provider.name.clone(),
                connection: verifier
                    .map(|verifier| (verifier.connection.id, verifier.connection.name.clone())),
                verified: verified.is_some(),
                dedupe_key: match verified {
                    Some(_) => id.as_deref().map(indexable),
                    // The sender is not verified: its id must not mark the genuine event as a duplicate.
                    None => Some(fingerprint(request, &headers)),
                },
                nonce: nonce.map(|nonce| nonce_key(nonce, index)),
                event_type: kind.as_deref().map(shown),
                request: IncomingRequest {
                    method: request.method.clone(),
                    url: url.clone(),
                    headers: headers.clone(),
                    body: Some(body.clone()),
                },
                received_at: now,
            });
        }
    }
    Ok(events)
}

/// Returns the body once for each of its events, with only that event in the list. `None` if that is too much.
fn parts(webhooks: &Webhooks, body: Option<&Json>) -> Option<Vec<Vec<u8>>> {
    let mut around = body?.clone();
    let path = webhooks.batch.as_deref().unwrap_or_default();
    let Json::Array(items) = find_mut(&mut around, path)?.take() else {
        return None;
    };
    let size = around.to_string().len();
    if items.len() > MOST_EVENTS || size.saturating_mul(items.len()) > MOST_BYTES {
        return None;
    }
    let mut parts = Vec::with_capacity(items.len());
    for item in items {
        *find_mut(&mut around, path)? = Json::Array(vec![item]);
        parts.push(around.to_string().into_bytes());
    }
    Some(parts)
}

fn find_mut<'a>(json: &'a mut Json, path: &[String]) -> Option<&'a mut Json> {
    path.iter().try_fold(json, |json, step| match json {
        Json::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
        json => json.get_mut(step),
    })
}

/// Returns an id in a form that fits an index: as it is, or its SHA-256 hash.
fn indexable(id: &str) -> String {
    if id.len() <= LONGEST_ID && !id.contains('\0') {
        id.to_owned()
    } else {
        format!("sha256:{}", hex::encode(Sha256::digest(id.as_bytes())))
    }
}

fn nonce_key(nonce: &str, index: usize) -> String {
    indexable(&format!("{nonce}#{index}"))
}

/// Returns a hash of the request's method, URL, headers and body.
fn fingerprint(request: &WebhookRequest, headers: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for part in [&request.method, &request.url] {
        hash.update(part);
        hash.update([0]);
    }
    for (name, value) in headers {
        hash.update(name);
        hash.update([0]);
        hash.update(value);
        hash.update([0]);
    }
    hash.update(&request.body);
    format!("request:{}", hex::encode(hash.finalize()))
}

/// Returns the deduplication keys of an event that was stored before it could be verified. A request with several events is one row without
/// an id.
pub(super) fn dedupe_keys(webhooks: &Webhooks, message: &Message<'_>, nonce: Option<&str>) -> DedupeKeys {
    let found = message.events(webhooks);
    let only = found.first().filter(|_| found.len() == 1);
    let id = only.and_then(|event| event.text(webhooks.id.as_ref()?));
    DedupeKeys {
        dedupe_key: id.as_deref().map(indexable),
        nonce: nonce.map(|nonce| nonce_key(nonce, 0)),
    }
}

fn shown(kind: &str) -> String {
    let end = kind.floor_char_boundary(LONGEST_TYPE.min(kind.len()));
    kind.get(..end).unwrap_or_default().replace('\0', "\u{fffd}")
}

/// Returns a URL without its path, which has the secret of a connection's own address.
fn without_path(url: &str) -> String {
    match url.split_once('?') {
        Some((_, query)) => format!("webhook:?{query}"),
        None => "webhook:".to_owned(),
    }
}

/// Returns a URL without the query parameters that hold a secret.
fn without_secrets(webhooks: &Webhooks, url: &str) -> String {
    let secret: Vec<&str> = webhooks.secret_parameters().collect();
    let Some((path, query)) = url.split_once('?').filter(|_| !secret.is_empty()) else {
        return url.to_owned();
    };
    let is_secret = |pair: &&str| {
        let mut parsed = url::form_urlencoded::parse(pair.as_bytes());
        parsed.any(|(name, _)| secret.contains(&name.as_ref()))
    };
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_secret(pair)).collect();
    format!("{path}?{}", kept.join("&"))
}
