//! Encrypts secret fields that are stored unencrypted: an older version wrote them, or the provider's file did not call them secret then.

use domain::{Connection, ConnectionId, IntegrationId, StoredIntegration};
use registry::Provider;
use store::connections;
use store::integrations::{self, IntegrationChange};
use store::{StoreError, credentials};

use crate::error::{GatewayError, Result};
use crate::gateway::Gateway;
use crate::integration_config::ConfigChange;
use crate::integration_secrets::ConfigUpdate;

/// Connections or integrations that one query reads.
const BATCH: i64 = 200;

/// Seals what is stored unencrypted, with one transaction for each connection and integration, so that the next start continues an
/// interrupted one.
pub(crate) async fn seal_clear_fields(gateway: &Gateway) -> Result<()> {
    for provider in gateway.registry.iter() {
        if provider.connection_config.values().any(|field| field.secret) {
            seal_connections_of(gateway, provider).await?;
        }
        if provider.integration_config.values().any(|field| field.secret) {
            seal_integrations_of(gateway, provider).await?;
        }
    }
    Ok(())
}

async fn seal_connections_of(gateway: &Gateway, provider: &Provider) -> Result<()> {
    let (mut after, mut sealed) = (ConnectionId::from_raw(0), 0_u64);
    loop {
        let name = provider.name.clone();
        let store = &gateway.store;
        let read = store.read(move |c| connections::of_provider_any_environment(c, &name, after, BATCH));
        let rows = read.await?;
        let Some(last) = rows.last() else {
            break;
        };
        after = last.id;
        for row in rows {
            sealed += u64::from(seal_connection(gateway, provider, row).await?);
        }
    }
    if sealed > 0 {
        tracing::info!(provider = %provider.name, connections = sealed, "sealed secret fields that were stored in clear");
    }
    Ok(())
}

/// Returns false if there is nothing to do, or if the connection has changed: the newer values are encrypted.
async fn seal_connection(gateway: &Gateway, provider: &Provider, row: Connection) -> Result<bool> {
    let clear = |name: &String| provider.is_secret_config(name);
    if !row.connection_config.keys().any(clear) {
        return Ok(false);
    }
    let id = row.id;
    let old = match gateway.store.read(move |c| credentials::get(c, id)).await {
        // It is being deleted.
        Err(StoreError::NotFound { .. }) => return Ok(false),
        old => old?,
    };
    let mut secrets = match gateway.open_secrets(&row, &old).await {
        // The next credentials of the connection are sealed together with the fields.
        Err(GatewayError::CredentialsLost(_)) => return Ok(false),
        secrets => secrets?,
    };
    let mut config = row.connection_config.clone();
    secrets.take_from(provider, &mut config);
    let (sealer, now) = (gateway.keys.sealer().await, gateway.clock.now());
    let moved = gateway.store.write_durably(move |c| {
        let locked = connections::lock(c, row.environment, &row.integration, &row.name)?;
        let same = locked.id == row.id
            && locked.connection_config == row.connection_config
            && credentials::lock(c, row.id)?
            && sealer.replace(c, &row, (&old, &secrets), now)?;
        if same {
            connections::set_config(c, row.id, &config)?;
        }
        Ok(same)
    });
    match moved.await {
        Err(StoreError::NotFound { .. }) => Ok(false),
        moved => Ok(moved?),
    }
}

async fn seal_integrations_of(gateway: &Gateway, provider: &Provider) -> Result<()> {
    let (mut after, mut sealed) = (IntegrationId::from_raw(0), 0_u64);
    loop {
        let name = provider.name.clone();
        let store = &gateway.store;
        let read = store.read(move |c| integrations::of_provider_any_environment(c, &name, after, BATCH));
        let rows = read.await?;
        let Some(last) = rows.last() else {
            break;
        };
        after = last.id;
        let in_clear = |row: &StoredIntegration| {
            row.config
                .keys()
                .any(|name| provider.is_secret_integration_config(name))
        };
        for row in rows.into_iter().filter(in_clear) {
            sealed += u64::from(seal_integration(gateway, provider, row).await?);
        }
    }
    if sealed > 0 {
        tracing::info!(provider = %provider.name, integrations = sealed, "sealed secret fields that were stored in clear");
    }
    Ok(())
}

/// Returns false if the integration has changed: the newer values are encrypted.
async fn seal_integration(gateway: &Gateway, provider: &Provider, row: StoredIntegration) -> Result<bool> {
    let (sealer, now) = (gateway.keys.sealer().await, gateway.clock.now());
    let update = ConfigUpdate::of(
        &row,
        sealer.open_config(&row)?,
        &ConfigChange::new(),
        Some(provider),
    );
    let sealed = gateway.store.write_durably(move |c| {
        let Some(locked) = integrations::lock(c, row.environment, &row.key)? else {
            return Ok(false);
        };
        if locked != row {
            return Ok(false);
        }
        let change = IntegrationChange {
            config: Some(update.seal(c, &sealer, &row, now)?),
            ..IntegrationChange::default()
        };
        integrations::change(c, row.id, &change, row.updated_at)?;
        Ok(true)
    });
    Ok(sealed.await?)
}
