//! What the worker does for subscriptions: renews them, and tries again to end them.

use std::time::Duration;

use domain::{StoredSubscription, SubscriptionStatus};
use store::{Lease, subscriptions};

use super::ending::end;
use super::{Leased, Subscriber, described, finish, release, retry_at};
use crate::error::Result;
use crate::gateway::Gateway;

/// Does what is due for a claimed subscription: renews it, tries again to end it, or marks it as failed if its process died while it
/// subscribed.
pub async fn carry_on(gateway: &Gateway, row: StoredSubscription, lease: &Lease<StoredSubscription>) {
    let done = match row.status {
        SubscriptionStatus::Active => renew(gateway, &row, lease).await,
        SubscriptionStatus::Ending => end_again(gateway, &row, lease).await,
        SubscriptionStatus::Creating => {
            let error =
                "the process ended while it subscribed: subscribe again to go on, or end the subscription";
            finish(
                gateway,
                lease,
                SubscriptionStatus::Failed,
                0,
                Some(error.to_owned()),
                None,
            )
            .await
        }
        SubscriptionStatus::Failed => release(gateway, &row, lease).await,
    };
    if let Err(error) = done {
        tracing::warn!(subscription = %row.id, %error, "a webhook subscription could not be renewed or ended; the worker tries again later");
    }
}

async fn subscriber_of(gateway: &Gateway, row: &StoredSubscription) -> Result<Option<Subscriber>> {
    let id = row.connection;
    let connection = gateway
        .store
        .read(move |c| store::connections::get_any_environment(c, id));
    let Some(connection) = connection.await? else {
        return Ok(None);
    };
    Subscriber::open(gateway, connection).await.map(Some)
}

async fn end_again(gateway: &Gateway, row: &StoredSubscription, lease: &Leased) -> Result<()> {
    match subscriber_of(gateway, row).await {
        Ok(Some(subscriber)) => end(gateway, &subscriber, row, lease).await.map(drop),
        Ok(None) => Ok(()),
        Err(error) => retry_later(gateway, row, lease, error.to_string(), Duration::ZERO).await,
    }
}

/// Has the worker take up a subscription again after a failure.
async fn retry_later(
    gateway: &Gateway,
    row: &StoredSubscription,
    lease: &Leased,
    error: String,
    wait: Duration,
) -> Result<()> {
    let attempts = row.attempts + 1;
    let due = retry_at(gateway, attempts, wait);
    finish(gateway, lease, row.status, attempts, Some(error), Some(due)).await
}

async fn renew(gateway: &Gateway, row: &StoredSubscription, lease: &Leased) -> Result<()> {
    let subscriber = match subscriber_of(gateway, row).await {
        Ok(Some(subscriber)) => subscriber,
        Ok(None) => return Ok(()),
        Err(error) => return retry_later(gateway, row, lease, error.to_string(), Duration::ZERO).await,
    };
    let client = subscriber.client(gateway, row);
    let Some((client, renewal)) =
        client.and_then(|client| client.declared.renew.as_ref().map(|renewal| (client, renewal)))
    else {
        // The file does not declare it any more, or no renewal of it.
        return finish(gateway, lease, row.status, 0, None, None).await;
    };
    match client.renew(&renewal.request).await {
        Ok(()) => {
            let due = gateway.clock.now().plus(renewal.every);
            finish(gateway, lease, SubscriptionStatus::Active, 0, None, Some(due)).await
        }
        Err(error) if error.not_found => {
            let leased = lease.clone();
            let store = &gateway.store;
            store
                .write(move |c| subscriptions::start_over(c, &leased))
                .await?;
            gateway.caches.forget_secrets();
            let error = "the provider has ended it: subscribe again".to_owned();
            finish(gateway, lease, SubscriptionStatus::Failed, 0, Some(error), None).await
        }
        Err(failed) => {
            let (message, wait) = described(&failed.error);
            retry_later(gateway, row, lease, message, wait).await
        }
    }
}
