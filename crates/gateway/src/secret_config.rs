//! Secret fields of configurations that an older version, or a file that did not call them secret, stored in clear.

use domain::{Connection, ConnectionId};
use registry::Provider;
use store::connections;
use store::{StoreError, credentials};

use crate::GatewayError;
use crate::gateway::Inner;

/// Connections that are looked at together.
const BATCH: i64 = 200;

impl Inner {
    /// Seals with the credentials what stands in clear. Each connection is a transaction of its own, so that a start that is cut off
    /// is followed by one that does the rest.
    pub(crate) async fn seal_secret_config(&self) -> Result<(), GatewayError> {
        for provider in self.registry.iter() {
            if provider.connection_config.values().any(|field| field.secret) {
                self.seal_of_provider(provider).await?;
            }
            if provider.integration_config.values().any(|field| field.secret) {
                self.seal_integrations_of(provider).await?;
            }
        }
        Ok(())
    }

    async fn seal_of_provider(&self, provider: &Provider) -> Result<(), GatewayError> {
        let (mut after, mut sealed) = (ConnectionId::from_raw(0), 0_u64);
        loop {
            let name = provider.name.clone();
            let rows = self
                .store
                .read(move |c| connections::of_provider_any_environment(c, &name, after, BATCH))
                .await?;
            let Some(last) = rows.last() else {
                break;
            };
            after = last.id;
            for row in rows {
                sealed += u64::from(self.seal_of_row(provider, row).await?);
            }
        }
        if sealed > 0 {
            tracing::info!(provider = %provider.name, connections = sealed, "sealed secret fields that stood in clear");
        }
        Ok(())
    }

    /// False if there is nothing to do, or the connection changes meanwhile: what is written then is sealed.
    async fn seal_of_row(&self, provider: &Provider, row: Connection) -> Result<bool, GatewayError> {
        let clear = |name: &String| provider.is_secret_config(name);
        if !row.connection_config.keys().any(clear) {
            return Ok(false);
        }
        let old = match self.sealed(row.id).await {
            // It is being deleted.
            Err(GatewayError::Store(StoreError::NotFound { .. })) => return Ok(false),
            old => old?,
        };
        let mut secrets = match self.open(&row, &old).await {
            // The fields are sealed with the new credentials, once there are some.
            Err(GatewayError::CredentialsLost(_)) => return Ok(false),
            secrets => secrets?,
        };
        let mut config = row.connection_config.clone();
        secrets.take_from(provider, &mut config);
        let (sealer, now) = (self.credentials.sealer(&self.store).await, self.clock.now());
        let moved = self.store.write_durably(move |c| {
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

    /// The connection without the secret fields of its configuration, as it may be shown.
    pub(crate) fn shown(&self, mut row: Connection) -> Connection {
        if let Some(provider) = self.registry.get(row.provider.as_str()) {
            row.connection_config
                .retain(|name, _| !provider.is_secret_config(name));
        }
        row
    }
}
