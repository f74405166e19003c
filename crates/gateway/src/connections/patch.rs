//! Changes connections: labels, metadata and credentials.

use std::collections::BTreeSet;

use domain::{Connection, ConnectionName, Problem, SyncName};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use store::connections::{self, ConnectionChange};
use utoipa::ToSchema;

use super::import::GivenCredentials;
use crate::caller::Caller;
use crate::credentials::{self, Authority, CredentialInput, PendingConnection, in_plain};
use crate::error::{GatewayError, Result, refusable};
use crate::gateway::{Gateway, Names, ResolvedConnection};
use crate::labels::{self, EndUser, Labels};
use crate::webhooks;

/// The changes of a connection; what is left out stays as it is.
#[derive(Clone, Deserialize, ToSchema)]
#[schema(as = PatchBody)]
#[serde(deny_unknown_fields)]
pub struct ConnectionPatch {
    /// Your user, who also becomes labels, which replace those of the previous user.
    #[schema(value_type = Option<EndUser>)]
    end_user: Option<Json>,
    /// Your labels, all of them: at most 10, names in lower case, values of 1 to 255 characters.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    tags: Option<Json>,
    /// Where its events go instead of the environment's addresses; empty text for those addresses.
    webhook_url_override: Option<String>,
    /// Your metadata, which replaces the stored one.
    metadata: Option<Map<String, Json>>,
    /// New credentials of the same account. They are checked first; if the provider refuses them, nothing changes.
    #[schema(value_type = Option<GivenCredentials>)]
    credentials: Option<Json>,
    /// What else its requests need; keys that are left out stay.
    connection_config: Option<Map<String, Json>>,
}

/// How to combine new and existing metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataChange {
    /// Replaces the existing metadata.
    Replace,
    /// Merges both; new fields win.
    Merge,
}

/// Changes a connection.
///
/// Verifies new credentials or configuration first: if the provider refuses them, nothing changes. If another request replaces an unnamed
/// part during the verification, the change is repeated once with the new values.
pub async fn patch(
    gateway: &Gateway,
    caller: &Caller,
    names: Names<'_>,
    patch: ConnectionPatch,
) -> Result<Vec<(SyncName, Problem)>> {
    match patch_once(gateway, caller, names, patch.clone()).await {
        Err(GatewayError::ChangedMeanwhile) => patch_once(gateway, caller, names, patch).await,
        outcome => outcome,
    }
}

async fn patch_once(
    gateway: &Gateway,
    caller: &Caller,
    names: Names<'_>,
    patch: ConnectionPatch,
) -> Result<Vec<(SyncName, Problem)>> {
    let renews = patch.credentials.is_some() || patch.connection_config.is_some();
    let (resolved, sealed) = if renews {
        gateway.resolve_with_credentials(names).await?
    } else {
        (gateway.resolve(names).await?, String::new())
    };
    let mut errors = Vec::new();
    let webhook_url = patch.webhook_url_override;
    let labels = labels::parse(patch.tags, patch.end_user, None, webhook_url, &mut errors);
    if !renews {
        GatewayError::check_body(errors)?;
        relabel(gateway, resolved.connection, patch.metadata, labels).await?;
        return Ok(Vec::new());
    }
    let (target, given) = if let Some(given) = patch.credentials {
        (gateway.open_to_renew(&resolved, &sealed).await?, given)
    } else {
        let target = gateway.open(&resolved, &sealed).await?;
        let mut stored = in_plain(&target.variables.credentials);
        stored.insert("type".to_owned(), target.provider.auth.as_str().into());
        (target, Json::Object(stored))
    };
    let ResolvedConnection {
        integration,
        connection,
    } = resolved;
    let config = credentials::config_over(&connection, &target, patch.connection_config.unwrap_or_default());
    let filled = CredentialInput::Typed(given)
        .fill(&integration.provider, &config)
        .map_err(|found| errors.extend(found));
    let (Ok(filled), true) = (filled, errors.is_empty()) else {
        return Err(GatewayError::InvalidBody(errors));
    };
    let pending = PendingConnection {
        environment: caller.environment,
        integration,
        name: connection.name.clone(),
        existing: Some(connection),
        based_on: Some(sealed),
        filled,
        metadata: patch.metadata,
        labels,
        authority: Authority::ApiKey(caller.key),
    };
    Ok(credentials::save(gateway, pending).await?.unreadable)
}

async fn relabel(
    gateway: &Gateway,
    row: Connection,
    metadata: Option<Map<String, Json>>,
    labels: Labels,
) -> Result<()> {
    let (now, sealer) = (gateway.clock.now(), gateway.keys.sealer().await);
    let unknown = GatewayError::unknown_connection(row.name.as_str(), row.integration.as_str());
    let changed = gateway.store.write(move |c| {
        let row = connections::lock(c, row.environment, &row.integration, &row.name)?;
        let change = labels.change(metadata, &row.tags);
        connections::change(c, row.id, &change, now)?;
        match change.webhook_url_override {
            Some(Some(_)) => webhooks::ensure_override_endpoint(c, &sealer, row.environment, now),
            _ => Ok(()),
        }
    });
    changed.await.map_err(GatewayError::or_unknown(|| unknown))?;
    gateway.caches.forget_secrets();
    Ok(())
}

/// Sets or merges the metadata of all named connections, or of none if one does not exist.
pub async fn set_metadata(
    gateway: &Gateway,
    caller: &Caller,
    integration: &str,
    names: &[String],
    metadata: Map<String, Json>,
    how: MetadataChange,
) -> Result<()> {
    let key = gateway
        .resolve_integration(caller.environment, integration)
        .await?
        .key;
    let unknown = |name: &str| GatewayError::unknown_connection(name, integration);
    // In order, so that two concurrent changes do not deadlock.
    let names = names
        .iter()
        .map(|name| name.parse().map_err(|_| unknown(name)))
        .collect::<Result<BTreeSet<ConnectionName>, _>>()?;
    let (environment, now) = (caller.environment, gateway.clock.now());
    let changed = gateway.store.write(refusable(move |c| {
        let mut rows = Vec::new();
        for name in names {
            let unknown = || GatewayError::unknown_connection(name.as_str(), key.as_str());
            let row = connections::lock(c, environment, &key, &name);
            rows.push(row.map_err(GatewayError::or_unknown(unknown))?);
        }
        for row in rows {
            let mut whole = match how {
                MetadataChange::Replace => Map::new(),
                MetadataChange::Merge => row.metadata.unwrap_or_default(),
            };
            whole.extend(metadata.clone());
            let change = ConnectionChange {
                metadata: Some(whole),
                ..ConnectionChange::default()
            };
            connections::change(c, row.id, &change, now)?;
        }
        Ok(())
    }));
    changed.await??;
    gateway.caches.forget_secrets();
    Ok(())
}
