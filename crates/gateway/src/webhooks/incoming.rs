//! What providers sent: lists it, begins it anew, and finds the connection of an event that fitted none.

use domain::{Connection, IncomingEvent, IncomingEventId};
use signature::{Headers, Message, Request, verify};
use store::incoming::{self, DedupeKeys, IncomingFilter, LeasedIncoming};

use super::receive::dedupe_keys;
use crate::caller::Caller;
use crate::error::{GatewayError, Result};
use crate::gateway::Gateway;

/// Whose an event is that fitted no connection when it arrived.
#[derive(Debug)]
pub enum Rematch {
    /// No connection fits.
    None,
    /// Connections fit, but none of their secrets signed it.
    Refused(String),
    /// The connections that it is for, and the keys to store if it was verified only now.
    Connections(Vec<Connection>, DedupeKeys),
}

/// Looks again for the connections of an event. One that could not be verified is verified with their secrets, as of when it arrived.
pub async fn rematch(gateway: &Gateway, leased: &LeasedIncoming) -> Result<Rematch> {
    let LeasedIncoming { event, request } = leased;
    let integration = gateway
        .resolve_integration(event.environment, event.integration.as_str())
        .await?;
    let Some(webhooks) = integration.provider.webhooks.as_ref() else {
        return Ok(Rematch::None);
    };
    let headers = request.headers.iter();
    let headers = Headers::new(headers.map(|(name, value)| (name.as_str(), value.as_bytes())));
    let message = || {
        Message::new(Request {
            method: &request.method,
            url: &request.url,
            headers: &headers,
            body: request.body.as_deref().unwrap_or_default(),
        })
    };
    let account = webhooks
        .connection
        .as_ref()
        .and_then(|matched| message().text(&matched.from));
    let Some(account) = account else {
        return Ok(Rematch::None);
    };
    let verifiers = gateway
        .verifiers(event.environment, &integration, &account)
        .await?;
    if verifiers.is_empty() {
        return Ok(Rematch::None);
    }
    let message = message();
    let mut connections = Vec::new();
    let (mut refused, mut keys) = (None, DedupeKeys::default());
    for verifier in verifiers.iter() {
        if event.verified {
            connections.push(verifier.connection.clone());
            continue;
        }
        match verify(webhooks, &message, &verifier.candidates, false, event.received_at) {
            Ok(verified) => {
                connections.push(verifier.connection.clone());
                keys = dedupe_keys(webhooks, &message, verified.nonce.as_deref());
            }
            Err(reason) => refused = Some(reason),
        }
    }
    Ok(match refused {
        Some(reason) if connections.is_empty() => Rematch::Refused(reason.to_string()),
        _ => Rematch::Connections(connections, keys),
    })
}

/// Returns the environment's events that match the filter and arrived before the one with the id `before`, newest first.
pub async fn list_incoming(
    gateway: &Gateway,
    caller: &Caller,
    mut filter: IncomingFilter,
    before: Option<IncomingEventId>,
) -> Result<Vec<IncomingEvent>> {
    let environment = caller.environment;
    let found = gateway.store.read(move |c| {
        if let Some(before) = before {
            filter.before = Some(incoming::find(c, environment, before)?.event.number);
        }
        incoming::list(c, environment, &filter)
    });
    let unknown = || GatewayError::NotFound("the event of the cursor was deleted: begin again".to_owned());
    found.await.map_err(GatewayError::or_unknown(unknown))
}

/// Returns an event and its request.
pub async fn incoming_event(gateway: &Gateway, caller: &Caller, id: &str) -> Result<LeasedIncoming> {
    let unknown = || GatewayError::NotFound(format!("there is no event {id:?} of a provider"));
    let parsed: IncomingEventId = id.parse().map_err(|_| unknown())?;
    let environment = caller.environment;
    let found = gateway
        .store
        .read(move |c| incoming::find(c, environment, parsed));
    found.await.map_err(GatewayError::or_unknown(unknown))
}

/// Processes an event again, whatever its state: its connection is looked for if it has none.
pub async fn replay_incoming(gateway: &Gateway, caller: &Caller, id: &str) -> Result<IncomingEvent> {
    let found = incoming_event(gateway, caller, id).await?;
    if found.request.body.is_none() {
        return Err(GatewayError::NotFound(format!(
            "the event {id:?} was erased with its connection, so it cannot be processed again"
        )));
    }
    let (number, now) = (found.event.number, gateway.clock.now());
    let replayed = gateway.store.write(move |c| incoming::replay(c, number, now));
    // One that is being processed needs no replay.
    replayed.await?;
    gateway.incoming_due.notify_one();
    Ok(incoming_event(gateway, caller, id).await?.event)
}
