//! Makes, changes and deletes webhook endpoints.

use std::time::Duration;

use domain::{Endpoint, EndpointId, EnvironmentId, Timestamp};
use secrecy::SecretString;
use signature::standard;
use store::{DbConn, StoreError, deliveries, endpoints};

use super::secrets::{EndpointSecrets, EndpointView, OpenSecrets, SecretKind, headers_text};
use super::settings::{Change, EndpointBody};
use crate::caller::Caller;
use crate::encryption_keys::Sealer;
use crate::error::{FieldError, GatewayError, Result, refusable};
use crate::gateway::Gateway;

/// The most endpoints of an environment.
const MAX_ENDPOINTS: i64 = 100;
/// How many deliveries one transaction deletes.
const BATCH: i64 = 2_000;
/// The longest time for which a replaced secret still signs.
const LONGEST_OVERLAP: Duration = Duration::from_hours(7 * 24);

/// Returns the environment's endpoints, oldest first.
pub async fn list(gateway: &Gateway, caller: &Caller) -> Result<Vec<EndpointView>> {
    let environment = caller.environment;
    let rows = gateway.store.read(move |c| endpoints::list(c, environment));
    let mut views = Vec::new();
    for row in rows.await? {
        views.push(view(gateway, row).await?);
    }
    Ok(views)
}

/// Returns an endpoint.
pub async fn endpoint(gateway: &Gateway, caller: &Caller, id: &str) -> Result<EndpointView> {
    view(gateway, find(gateway, caller.environment, id).await?).await
}

async fn view(gateway: &Gateway, endpoint: Endpoint) -> Result<EndpointView> {
    let secrets = OpenSecrets::read(gateway, &endpoint).await?;
    Ok(EndpointView {
        public_key: secrets.public_key(),
        endpoint,
    })
}

pub(super) async fn find(gateway: &Gateway, environment: EnvironmentId, id: &str) -> Result<Endpoint> {
    let unknown = || unknown_endpoint(id);
    let parsed: EndpointId = id.parse().map_err(|_| unknown())?;
    let found = gateway
        .store
        .read(move |c| endpoints::find(c, environment, parsed));
    found.await.map_err(GatewayError::or_unknown(unknown))
}

fn unknown_endpoint(id: &str) -> GatewayError {
    GatewayError::NotFound(format!(
        "there is no webhook endpoint {id:?}; GET /webhook-endpoints lists them"
    ))
}

/// Makes an endpoint. Its secret is shown this once.
pub async fn create(gateway: &Gateway, caller: &Caller, body: EndpointBody) -> Result<EndpointSecrets> {
    let (settings, mut errors) = body.over(gateway, EndpointBody::defaults());
    if body.url.is_none() {
        errors.push(FieldError::at(
            "missing",
            "url",
            "is required: where events are sent",
        ));
    }
    GatewayError::check_body(errors)?;
    let secret = body.secret.unwrap_or_else(standard::generate_secret);
    let private = body
        .ed25519
        .unwrap_or_default()
        .then(standard::generate_private_key);
    let headers = body.headers.over(None);
    let (environment, now) = (caller.environment, gateway.clock.now());
    let (sealer, shared) = (gateway.keys.sealer().await, secret.clone());
    let stored = gateway.store.write_durably(refusable(move |c| {
        if endpoints::count(c, environment)? >= MAX_ENDPOINTS {
            return Err(GatewayError::Capped(format!(
                "an environment has at most {MAX_ENDPOINTS} webhook endpoints: delete one first"
            )));
        }
        let endpoint = endpoints::insert(c, environment, None, &settings, now)?;
        let mut store = |kind, secret: &SecretString| {
            let place = (environment, Some(endpoint.number), kind);
            sealer.store_webhook_secret(c, place, secret, now, now)
        };
        store(SecretKind::Shared, &shared)?;
        if let Some(private) = &private {
            store(SecretKind::Private, private)?;
        }
        if let Some(headers) = &headers {
            store(SecretKind::Headers, &headers_text(headers))?;
        }
        super::nango::ensure_signing_key(c, &sealer, environment, now)?;
        Ok(endpoint)
    }));
    let endpoint = stored.await.map_err(orphaned)??;
    Ok(EndpointSecrets {
        view: view(gateway, endpoint).await?,
        secret,
    })
}

/// An environment that was deleted meanwhile has no keys any more either.
fn orphaned(error: StoreError) -> GatewayError {
    match error {
        StoreError::Orphan => GatewayError::UnknownKey,
        other => other.into(),
    }
}

/// Changes what the body sets of an endpoint.
pub async fn update(
    gateway: &Gateway,
    caller: &Caller,
    id: &str,
    body: EndpointBody,
) -> Result<EndpointView> {
    let row = find(gateway, caller.environment, id).await?;
    let (_, mut errors) = body.over(gateway, row.settings.clone());
    let only_new = "is set only when the endpoint is made; POST …/rotate-secret replaces its secret";
    if body.secret.is_some() {
        errors.push(FieldError::at("invalid", "secret", only_new));
    }
    if body.ed25519.is_some() {
        errors.push(FieldError::at("invalid", "ed25519", only_new));
    }
    GatewayError::check_body(errors)?;
    let (environment, endpoint, now) = (caller.environment, row.id, gateway.clock.now());
    let sealer = gateway.keys.sealer().await;
    let (settings, _) = body.over(gateway, row.settings.clone());
    let headers = match &body.headers {
        Change::Keep => None,
        changed => Some(changed.over(None).unwrap_or_default()),
    };
    let changed = gateway.store.write_durably(move |c| {
        store::lease::lock(c, row.number)?;
        let current = endpoints::find(c, environment, endpoint)?;
        // What another request changed since would be lost.
        if current.settings != row.settings {
            return Ok(None);
        }
        endpoints::change(c, current.number, &settings, now)?;
        if let Some(headers) = headers {
            let place = (environment, Some(current.number), SecretKind::Headers);
            sealer.store_webhook_secret(c, place, &headers_text(&headers), now, now)?;
        }
        endpoints::find(c, environment, endpoint).map(Some)
    });
    let changed = changed
        .await
        .map_err(GatewayError::or_unknown(|| unknown_endpoint(id)))?;
    gateway.delivery_due.send_replace(());
    view(gateway, changed.ok_or(GatewayError::ChangedMeanwhile)?).await
}

/// Deletes an endpoint with its deliveries.
pub async fn delete(gateway: &Gateway, caller: &Caller, id: &str) -> Result<()> {
    let (row, environment) = (find(gateway, caller.environment, id).await?, caller.environment);
    // In batches, so that a large endpoint keeps no other transaction waiting.
    let number = row.number;
    let some = || {
        gateway
            .store
            .write_long(move |c| deliveries::delete_some(c, number, BATCH))
    };
    while some().await? == BATCH {}
    let deleted = gateway
        .store
        .write_long(move |c| endpoints::delete(c, environment, row.id));
    if deleted.await? {
        Ok(())
    } else {
        Err(unknown_endpoint(id))
    }
}

/// Replaces the secret of an endpoint, and its ed25519 key if it has one. The old ones sign too for `overlap`.
pub async fn rotate_secret(
    gateway: &Gateway,
    caller: &Caller,
    id: &str,
    overlap: Duration,
) -> Result<EndpointSecrets> {
    check_overlap(overlap)?;
    let row = find(gateway, caller.environment, id).await?;
    let has_private = OpenSecrets::read(gateway, &row).await?.has_private;
    let (secret, environment, now) = (
        standard::generate_secret(),
        caller.environment,
        gateway.clock.now(),
    );
    let private = has_private.then(standard::generate_private_key);
    let (sealer, shared, endpoint) = (gateway.keys.sealer().await, secret.clone(), row.id);
    let number = row.number;
    let rotated = gateway.store.write_durably(move |c| {
        store::lease::lock(c, number)?;
        let row = endpoints::find(c, environment, endpoint)?;
        replace(
            c,
            &sealer,
            &row,
            (&shared, private.as_ref()),
            (now.plus(overlap), now),
        )?;
        // Its holder reads the secrets again.
        endpoints::touch(c, row.number, now)?;
        endpoints::find(c, environment, endpoint)
    });
    let row = rotated
        .await
        .map_err(GatewayError::or_unknown(|| unknown_endpoint(id)))?;
    Ok(EndpointSecrets {
        view: view(gateway, row).await?,
        secret,
    })
}

fn replace(
    c: &mut DbConn,
    sealer: &Sealer,
    row: &Endpoint,
    (shared, private): (&SecretString, Option<&SecretString>),
    (overlap_ends, now): (Timestamp, Timestamp),
) -> Result<(), StoreError> {
    let place = |kind| (row.environment, Some(row.number), kind);
    sealer.store_webhook_secret(c, place(SecretKind::Shared), shared, overlap_ends, now)?;
    match private {
        Some(private) => {
            sealer.store_webhook_secret(c, place(SecretKind::Private), private, overlap_ends, now)
        }
        None => Ok(()),
    }
}

fn check_overlap(overlap: Duration) -> Result<()> {
    if overlap <= LONGEST_OVERLAP {
        return Ok(());
    }
    let most = LONGEST_OVERLAP.as_secs();
    let rule = format!("must be between 0 and {most} (7 days)");
    Err(GatewayError::invalid_body("overlap_seconds", rule))
}
