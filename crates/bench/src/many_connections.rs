//! Creates many connections to one account directly in the store, as the gateway would, but without a request for each.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use domain::{Clock, Connection, ConnectionFilter, ConnectionName, Timestamp, Variant};
use store::connections::{self, ConnectionChange, NewConnection};
use store::syncs::{self, NewSync};
use store::{DbConn, StoreError, credentials};
use vault::{EncryptionKey, KeyRing, Owner, SealContext, SecretString};

use crate::app::{App, AppOptions, CONNECTION, ENCRYPTION_KEY, INTEGRATION, SYNC};

/// The field that the gateway encrypts for a connection.
const FIELD: &str = "credentials";
/// The number of connections in one transaction.
const BATCH: usize = 500;

/// The values that all connections share.
struct Template {
    row: Connection,
    ring: KeyRing,
    plain: SecretString,
    now: Timestamp,
}

/// Connects the account once through the API, then copies it to `count` connections with the same credentials, each encrypted separately.
///
/// The syncs are due at once. Their later due times depend on the creation time of the sync, so creation times are spread evenly over
/// `interval`, as if the connections had been created over that time.
pub(crate) async fn make(options: &AppOptions, count: u32, interval: Duration) -> anyhow::Result<()> {
    let app = App::start(options).await?;
    app.connect(&options.sim).await?;
    let template = Arc::new(app.template().await?);
    let spread = interval / count.max(1);
    let numbers: Vec<u32> = (1..count).collect();
    for batch in numbers.chunks(BATCH) {
        let (template, batch) = (Arc::clone(&template), batch.to_vec());
        app.gateway
            .store
            .write(move |c| {
                for number in batch {
                    let made = template.now.minus(spread * number);
                    template.copy(c, number, made)?;
                }
                Ok(())
            })
            .await?;
    }
    Ok(())
}

impl App {
    /// Returns the connection that the API created, with its decrypted credentials.
    async fn template(&self) -> anyhow::Result<Template> {
        let filter = ConnectionFilter {
            name: Some(CONNECTION.parse()?),
            integrations: vec![INTEGRATION.parse()?],
            ..ConnectionFilter::default()
        };
        let listed = gateway::connections::list(&self.gateway, &self.caller, filter).await?;
        let row = listed
            .into_iter()
            .next()
            .context("the first connection does not exist")?
            .connection;
        let id = row.id;
        let sealed = self.gateway.store.read(move |c| credentials::get(c, id)).await?;
        let ring = KeyRing::new(EncryptionKey::from_base64(ENCRYPTION_KEY)?, Vec::new());
        let plain = ring.open(&seal_context(&row), &sealed.parse()?)?;
        Ok(Template {
            row,
            ring,
            plain,
            now: Clock::system().now(),
        })
    }
}

impl Template {
    fn copy(&self, c: &mut DbConn, number: u32, made: Timestamp) -> Result<(), StoreError> {
        let name: ConnectionName = format!("{CONNECTION}-{number}").parse().map_err(internal)?;
        let new = NewConnection {
            environment: self.row.environment,
            integration: self.row.integration.clone(),
            name,
            provider: self.row.provider.clone(),
            connection_config: self.row.connection_config.clone(),
            change: ConnectionChange::default(),
        };
        connections::insert(c, &new, self.now)?;
        let row = connections::find(c, new.environment, &new.integration, &new.name)?;
        let sealed = self.ring.seal(&seal_context(&row), &self.plain);
        credentials::put(c, row.id, &sealed.to_string(), sealed.key_id().as_str(), self.now)?;
        let sync = NewSync {
            connection: row.id,
            name: SYNC.parse().map_err(internal)?,
            variant: Variant::base(),
            paused: false,
            due_at: Some(self.now),
        };
        syncs::ensure(c, &sync, made)?;
        Ok(())
    }
}

fn seal_context(row: &Connection) -> SealContext<'static> {
    SealContext {
        environment: row.environment,
        owner: Owner::Connection(row.id),
        field: FIELD,
    }
}

fn internal(error: impl std::fmt::Display) -> StoreError {
    StoreError::Refused(error.to_string())
}
