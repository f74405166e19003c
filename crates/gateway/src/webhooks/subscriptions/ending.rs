//! Ends subscriptions: when asked to, and before a connection is deleted.

use std::sync::Arc;
use std::time::Duration;

use domain::{Connection, StoredSubscription, SubscriptionId, SubscriptionStatus};
use serde_json::{Map, Value as Json};
use store::{subscriptions, webhook_secrets};

use super::requests::Ended;
use super::{
    Leased, Subscriber, delete, described, finish, lease, release, retry_at, shown, undeclared,
    while_renewing_lease,
};
use crate::connection_webhooks::Kind;
use crate::error::{GatewayError, Result};
use crate::gateway::{Gateway, Names};
use crate::webhooks::address::webhooks_of;

/// After so many failures in a row the worker gives up ending a subscription.
const MOST_ATTEMPTS: i64 = 20;
/// How long the deletion of a connection waits for its subscriptions to end.
const DELETION_TIMEOUT: Duration = Duration::from_secs(30);

/// A subscription that was ended.
#[derive(Debug)]
pub struct EndedSubscription {
    /// What it was.
    pub row: StoredSubscription,
    /// What it kept, without secrets.
    pub kept: Map<String, Json>,
    /// Whether the provider was asked to end it. False if it was forgotten, if the file declares no `end`, or if the value at the provider was
    /// changed or removed since.
    pub ended_at_provider: bool,
}

/// Ends the subscription with this id or, without one, all of the connection. With `forget`, the provider is not asked.
///
/// If the provider cannot do it now, the worker tries again, and the error says why; the other subscriptions are ended all the same.
pub async fn unsubscribe(
    gateway: &Arc<Gateway>,
    names: Names<'_>,
    id: Option<SubscriptionId>,
    forget: bool,
) -> Result<Vec<EndedSubscription>> {
    let resolved = gateway.resolve(names).await?;
    webhooks_of(&resolved.integration.provider)?;
    let connection = resolved.connection;
    let of = connection.id;
    let rows = gateway.store.read(move |c| subscriptions::of_connection(c, of));
    let mut rows = rows.await?;
    rows.retain(|row| id.is_none_or(|id| row.id == id));
    if let Some(id) = id.filter(|_| rows.is_empty()) {
        return Err(GatewayError::NotFound(format!(
            "the connection has no subscription {id}"
        )));
    }
    let shared = Arc::clone(gateway);
    let work = gateway.spawn(async move {
        let (mut ended, mut failed) = (Vec::with_capacity(rows.len()), None);
        for row in &rows {
            match lease_and_end(&shared, &connection, row, forget).await {
                Ok(left) => ended.push(left),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if id.is_none() && failed.is_none() {
            // A new subscription brings a new one.
            let deleted = shared
                .store
                .write(move |c| webhook_secrets::delete_of_kind(c, of, Kind::Challenge.as_str()));
            deleted.await?;
            shared.caches.forget_secrets();
        }
        failed.map_or(Ok(ended), Err)
    });
    work.await.unwrap_or(Err(GatewayError::SubscriptionBusy))
}

/// Leases a subscription and ends it.
async fn lease_and_end(
    gateway: &Gateway,
    connection: &Connection,
    row: &StoredSubscription,
    forget: bool,
) -> Result<EndedSubscription> {
    let (row, lease) = lease(gateway, row.number).await?;
    let opened = Subscriber::open(gateway, connection.clone()).await;
    if forget {
        delete(gateway, &lease).await?;
        let kept = opened.map(|opened| opened.view(row.clone(), None).kept);
        return Ok(EndedSubscription {
            kept: kept.unwrap_or_default(),
            row,
            ended_at_provider: false,
        });
    }
    match opened {
        Ok(subscriber) => {
            let kept = subscriber.view(row.clone(), None).kept;
            let ending = end(gateway, &subscriber, &row, &lease);
            let ended_at_provider = while_renewing_lease(gateway, &lease, ending).await?;
            Ok(EndedSubscription {
                row,
                kept,
                ended_at_provider,
            })
        }
        Err(error) => {
            release(gateway, &row, &lease).await?;
            Err(error)
        }
    }
}

/// Ends a leased subscription. Returns whether the provider was asked to.
pub(super) async fn end(
    gateway: &Gateway,
    subscriber: &Subscriber,
    row: &StoredSubscription,
    lease: &Leased,
) -> Result<bool> {
    let Some(client) = subscriber.client(gateway, row) else {
        finish(gateway, lease, row.status, row.attempts, row.error.clone(), None).await?;
        return Err(undeclared(row));
    };
    let (leased, steps) = (lease.clone(), row.steps);
    let begun = gateway
        .store
        .write_durably(move |c| subscriptions::progress(c, &leased, SubscriptionStatus::Ending, steps));
    if !begun.await? {
        return Err(GatewayError::SubscriptionBusy);
    }
    match client.end().await {
        Ok(ended) => {
            if ended == Ended::Superseded {
                tracing::info!(
                    subscription = %row.id,
                    connection = %subscriber.connection.name,
                    kept = %Json::Object(shown(&client.target, &client.target.variables.subscription)),
                    "the value that a subscription set was changed at the provider; it stays as it is"
                );
            }
            delete(gateway, lease).await?;
            Ok(ended == Ended::Asked)
        }
        Err(error) => {
            let attempts = row.attempts + 1;
            let (message, wait) = described(&error);
            let due = (attempts < MOST_ATTEMPTS).then(|| retry_at(gateway, attempts, wait));
            let status = SubscriptionStatus::Ending;
            finish(gateway, lease, status, attempts, Some(message), due).await?;
            Err(error.into())
        }
    }
}

/// Ends the subscriptions of a connection that is about to be deleted, as far as its provider does it now. What stays at the provider is logged.
pub(crate) async fn end_before_deletion(gateway: &Gateway, connection: &Connection) -> Result<()> {
    let id = connection.id;
    let rows = gateway.store.read(move |c| subscriptions::of_connection(c, id));
    let rows = rows.await?;
    let until = tokio::time::Instant::now() + DELETION_TIMEOUT;
    for row in &rows {
        let left = match tokio::time::timeout_at(until, lease_and_end(gateway, connection, row, false)).await
        {
            Ok(Ok(_)) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the provider did not respond in time".to_owned(),
        };
        let opened = Subscriber::open(gateway, connection.clone()).await;
        let kept = opened.map(|opened| opened.view(row.clone(), None).kept);
        tracing::warn!(
            connection = %connection.name,
            integration = %connection.integration,
            subscription = row.name,
            input = %Json::Object(row.input.clone()),
            kept = %Json::Object(kept.unwrap_or_default()),
            error = left,
            "the connection is deleted, and the provider may still send webhooks to its address: end them there"
        );
    }
    Ok(())
}
