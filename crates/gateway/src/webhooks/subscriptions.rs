//! Subscriptions: Trunkline asks a provider to send events to a connection's address, shows what the provider has, and ends it.
//!
//! A process can die between two requests, and a provider may not respond. So the row is stored before the first request, and the values
//! of each response before the next request: the next call continues there. A request with an unknown outcome is repeated only when the
//! caller subscribes again, because it could subscribe twice. A row is changed only under its lease.

mod ending;
mod requests;
mod subscriber;
mod upkeep;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use domain::{
    Connection, Id, IdKind, RowId, StoredSubscription, SubscriptionId, SubscriptionStatus, Timestamp,
};
use futures::{StreamExt, stream};
use indexmap::IndexMap;
use registry::webhooks::Subscription;
use registry::{Input, Provider};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use store::Lease;
use store::subscriptions::{self, Finish, FoundOrInserted, MOST_SUBSCRIPTIONS, NewSubscription};
use tokio::time::Instant;
use upstream::Backoff;
use utoipa::ToSchema;

pub(crate) use self::ending::end_before_deletion;
pub use self::ending::{EndedSubscription, unsubscribe};
pub use self::requests::{Difference, ProviderState};
use self::subscriber::{Subscriber, shown, view, without_password};
pub use self::upkeep::carry_on;
use super::address::webhooks_of;
use crate::error::{AttemptError, GatewayError, Result};
use crate::gateway::{Gateway, Names};
use crate::inputs;

/// How long a subscription stays leased after the last renewal by a process that works on it.
const LEASE: Duration = Duration::from_mins(1);
/// The waits before the worker's requests are tried again.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(30),
    longest: Duration::from_hours(6),
};
/// How long a request that shows subscriptions waits for the provider, and how many it asks for at a time.
const SHOWN_WITHIN: Duration = Duration::from_secs(20);
const SHOWN_TOGETHER: usize = 4;

type Leased = Lease<StoredSubscription>;

enum HolderKind {}
impl IdKind for HolderKind {
    const PREFIX: &'static str = "subscribing";
}

fn holder(now: Timestamp) -> String {
    Id::<HolderKind>::new(now).to_string()
}

/// What to subscribe to.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SubscribeBody)]
pub struct SubscribeBody {
    /// The name of the subscription in the provider's file; the first one if left out.
    #[schema(example = "orders")]
    subscription: Option<String>,
    /// Its input, as `GET /{integration}/webhooks` describes it under `available`.
    #[serde(default)]
    input: Map<String, Json>,
}

/// A subscription as it is shown.
#[derive(Debug)]
pub struct SubscriptionView {
    /// What is stored.
    pub row: StoredSubscription,
    /// What it does, by the provider's file; `None` if the file does not have it any more.
    pub description: Option<String>,
    /// What it kept of the provider's responses, such as the value that was there before; without secrets.
    pub kept: Map<String, Json>,
    /// The state at the provider; `None` if it was not asked.
    pub provider_state: Option<ProviderState>,
}

/// The webhooks of a connection.
#[derive(Debug)]
pub struct ConnectionWebhooks {
    /// Where in the provider people enter the address.
    pub setup: Option<String>,
    /// Its subscriptions, oldest first.
    pub subscriptions: Vec<SubscriptionView>,
    /// The provider, whose file has the subscriptions that there may be.
    pub provider: Arc<Provider>,
}

impl ConnectionWebhooks {
    /// Returns the subscriptions that there may be: name, description and input.
    pub fn available(&self) -> impl Iterator<Item = (&str, &str, &IndexMap<String, Input>)> {
        let webhooks = self.provider.webhooks.iter();
        let all = webhooks.flat_map(|webhooks| webhooks.subscriptions.iter());
        all.map(|(name, declared)| (name.as_str(), declared.description.as_str(), &declared.inputs))
    }
}

/// Subscribes a connection, or goes on where an earlier call stopped. Returns the subscription, and whether it was not active before.
pub async fn subscribe(
    gateway: &Arc<Gateway>,
    names: Names<'_>,
    body: SubscribeBody,
) -> Result<(SubscriptionView, bool)> {
    let resolved = gateway.resolve(names).await?;
    let provider = Arc::clone(&resolved.integration.provider);
    let connection = resolved.connection;
    let (name, declared) = declared(&provider, body.subscription.as_deref())?;
    let input = declared.check(name, body.input);
    let input = input.map_err(|errors| inputs::invalid(errors, Some("input")))?;
    if gateway.public_url.is_none() {
        return Err(GatewayError::Uncallable(
            "no public URL is configured: set TRUNKLINE_PUBLIC_URL to the URL under which the provider reaches this server".to_owned(),
        ));
    }
    let before = Subscriber::open(gateway, connection.clone()).await?;
    if !declared.brings_secret() && !gateway.can_verify(&before.target, &before.secrets) {
        return Err(GatewayError::Uncallable(unverifiable(&provider)));
    }
    let now = gateway.clock.now();
    let new = NewSubscription {
        id: SubscriptionId::new(now),
        connection: connection.id,
        name: name.to_owned(),
        input_hash: inputs::hash(&input),
        input,
    };
    let holder = holder(now);
    let found = gateway
        .store
        .write_durably(move |c| subscriptions::find_or_insert(c, &new, &holder, now.plus(LEASE), now));
    let (row, lease) = match found.await? {
        FoundOrInserted::Active(row) => return Ok((before.view(row, None), false)),
        FoundOrInserted::Leased(row, lease) => (row, lease),
        FoundOrInserted::Ending => return Err(GatewayError::SubscriptionEnding),
        FoundOrInserted::Busy => return Err(GatewayError::SubscriptionBusy),
        FoundOrInserted::TooMany => {
            return Err(GatewayError::Capped(format!(
                "a connection has at most {MOST_SUBSCRIPTIONS} subscriptions: end one first"
            )));
        }
        FoundOrInserted::ConnectionDeleted => {
            return Err(GatewayError::unknown_connection(
                connection.name.as_str(),
                connection.integration.as_str(),
            ));
        }
    };
    // A task, so that a client that disconnects does not interrupt it.
    let shared = Arc::clone(gateway);
    let work = gateway.spawn(async move {
        let creating = create(&shared, connection, &row, &lease);
        while_renewing_lease(&shared, &lease, creating).await
    });
    work.await.unwrap_or(Err(GatewayError::SubscriptionBusy))
}

/// Subscribes under the lease.
async fn create(
    gateway: &Gateway,
    connection: Connection,
    row: &StoredSubscription,
    lease: &Leased,
) -> Result<(SubscriptionView, bool)> {
    // Read again: another request may have changed it before the lease.
    let opened = match Subscriber::open(gateway, connection).await {
        Ok(opened) if row.status != SubscriptionStatus::Ending => Ok(opened),
        Ok(_) => Err(GatewayError::SubscriptionEnding),
        Err(error) => Err(error),
    };
    let subscriber = match opened {
        Ok(subscriber) => subscriber,
        Err(error) => {
            release(gateway, row, lease).await?;
            return Err(error);
        }
    };
    let client = subscriber.client(gateway, row).ok_or_else(|| undeclared(row))?;
    let kept = client.create(lease).await?;
    let active = StoredSubscription {
        status: SubscriptionStatus::Active,
        error: None,
        ..row.clone()
    };
    tracing::info!(subscription = %row.id, name = row.name, connection = %subscriber.connection.name, "subscribed");
    Ok((view(&subscriber.target, active, &kept, None), true))
}

/// Does work while its lease is renewed. The work is not stopped if the lease is lost: a request that was sent cannot be taken back.
async fn while_renewing_lease<T>(gateway: &Gateway, lease: &Leased, work: impl Future<Output = T>) -> T {
    let keep = async {
        loop {
            lease.clone().keep(&gateway.store, &gateway.clock, LEASE).await;
            tracing::warn!("the lease of a webhook subscription is lost");
            // It is lost for good as soon as another has it.
            tokio::time::sleep(LEASE).await;
        }
    };
    let keep: std::pin::Pin<&mut (dyn Future<Output = Infallible> + Send)> = std::pin::pin!(keep);
    tokio::select! {
        done = work => done,
        never = keep => match never {},
    }
}

/// Finds a subscription in the provider's file.
fn declared<'a>(provider: &'a Provider, name: Option<&str>) -> Result<(&'a str, &'a Subscription)> {
    let webhooks = webhooks_of(provider)?;
    let known = &webhooks.subscriptions;
    let found = match name {
        None => known.first(),
        Some(name) => known.get_key_value(name),
    };
    if let Some((name, declared)) = found {
        return Ok((name, declared));
    }
    if known.is_empty() {
        let setup = webhooks.setup.as_deref().unwrap_or_default();
        return Err(GatewayError::NotFound(format!(
            "the provider file of {} declares no subscriptions: enter the connection's address at the provider. {setup}",
            provider.display_name
        )));
    }
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    let message = format!("must be one of {}", names.join(", "));
    Err(GatewayError::invalid_body("subscription", message))
}

fn undeclared(row: &StoredSubscription) -> GatewayError {
    GatewayError::NotFound(format!(
        "the provider's file does not declare the subscription {:?} any more: end it at the provider, then end it here with forget=true",
        row.name
    ))
}

/// The message for a connection that could not verify what a subscription brings.
fn unverifiable(provider: &Provider) -> String {
    let webhooks = provider.webhooks.as_ref();
    let others = webhooks.map(|webhooks| {
        let all = webhooks.subscriptions.iter();
        let fit = all.filter(|(_, declared)| declared.brings_secret());
        fit.map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    });
    let others = others.filter(|others| !others.is_empty());
    let first = others.map_or_else(String::new, |others| {
        format!(", or subscribe to {} first", others.join(" or "))
    });
    format!(
        "the connection has no secret to verify requests of {} with: set it in connection_config{first}",
        provider.display_name
    )
}

/// Shows the subscriptions of a connection, and asks its provider what it holds.
pub async fn connection_webhooks(gateway: &Gateway, names: Names<'_>) -> Result<ConnectionWebhooks> {
    let resolved = gateway.resolve(names).await?;
    let provider = Arc::clone(&resolved.integration.provider);
    let setup = webhooks_of(&provider)?.setup.clone();
    let id = resolved.connection.id;
    let rows = gateway.store.read(move |c| subscriptions::of_connection(c, id));
    let rows = rows.await?;
    let subscriptions = if rows.is_empty() {
        Vec::new()
    } else {
        views(gateway, resolved.connection, rows).await
    };
    Ok(ConnectionWebhooks {
        setup,
        subscriptions,
        provider,
    })
}

async fn views(
    gateway: &Gateway,
    connection: Connection,
    rows: Vec<StoredSubscription>,
) -> Vec<SubscriptionView> {
    let subscriber = match Subscriber::open(gateway, connection).await {
        Ok(subscriber) => subscriber,
        // So that they can be ended at least.
        Err(error) => {
            let without = |row| SubscriptionView {
                description: None,
                kept: Map::new(),
                provider_state: Some(ProviderState::Unknown(error.to_string())),
                row,
            };
            return rows.into_iter().map(without).collect();
        }
    };
    let until = Instant::now() + SHOWN_WITHIN;
    let subscriber = &subscriber;
    let views = stream::iter(rows).map(async |row| {
        let client = (row.status == SubscriptionStatus::Active)
            .then(|| subscriber.client(gateway, &row))
            .flatten();
        let state = match &client {
            Some(client) => Some(
                tokio::time::timeout_at(until, client.show())
                    .await
                    .unwrap_or_else(|_| {
                        ProviderState::Unknown("the provider did not respond in time".to_owned())
                    }),
            ),
            None => None,
        };
        drop(client);
        subscriber.view(row, state)
    });
    views.buffered(SHOWN_TOGETHER).collect().await
}

/// Returns what is stored of a failure, and how long to wait at least.
fn described(error: &AttemptError) -> (String, Duration) {
    match error {
        AttemptError::Request {
            failure, retry_after, ..
        } => (failure.message.clone(), retry_after.unwrap_or_default()),
        AttemptError::Other(error) => (error.to_string(), Duration::ZERO),
    }
}

/// Leases a subscription, and returns it as it is then. [`GatewayError::SubscriptionBusy`] if another process works on it.
async fn lease(gateway: &Gateway, number: RowId<StoredSubscription>) -> Result<(StoredSubscription, Leased)> {
    let now = gateway.clock.now();
    let holder = holder(now);
    let leased = gateway
        .store
        .write(move |c| subscriptions::lease_free(c, number, &holder, now.plus(LEASE), now));
    leased.await?.ok_or(GatewayError::SubscriptionBusy)
}

/// Stores the state and releases the lease.
async fn finish(
    gateway: &Gateway,
    lease: &Leased,
    status: SubscriptionStatus,
    attempts: i64,
    error: Option<String>,
    due_at: Option<Timestamp>,
) -> Result<()> {
    let (lease, now) = (lease.clone(), gateway.clock.now());
    let finish = Finish {
        status,
        attempts,
        error,
        due_at,
    };
    let finished = gateway
        .store
        .write_durably(move |c| subscriptions::finish(c, &lease, &finish, now));
    finished.await?;
    gateway.subscription_due.notify_one();
    Ok(())
}

/// Releases the lease and leaves the row as it is. The worker takes it up now if it may have to be renewed or ended.
async fn release(gateway: &Gateway, row: &StoredSubscription, lease: &Leased) -> Result<()> {
    let waits = matches!(
        row.status,
        SubscriptionStatus::Active | SubscriptionStatus::Ending
    );
    let due = waits.then(|| gateway.clock.now());
    finish(gateway, lease, row.status, row.attempts, row.error.clone(), due).await
}

/// Returns when the worker tries again after this many failures in a row.
fn retry_at(gateway: &Gateway, attempts: i64, wait: Duration) -> Timestamp {
    let backoff = BACKOFF.after(u32::try_from(attempts).unwrap_or(u32::MAX));
    gateway.clock.now().plus(backoff.max(wait))
}

/// Deletes a leased subscription.
async fn delete(gateway: &Gateway, lease: &Leased) -> Result<()> {
    let lease = lease.clone();
    let deleted = gateway
        .store
        .write_durably(move |c| subscriptions::delete(c, &lease));
    deleted.await?;
    gateway.caches.forget_secrets();
    Ok(())
}
