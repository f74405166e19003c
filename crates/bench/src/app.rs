//! A gateway wired like the binary, for the child processes: default options, and a log that is written and discarded.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use domain::Clock;
use gateway::{Caller, Gateway, GatewayParts, KeySource, api_keys, connections};
use registry::Registry;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Store, StoreOptions};
use tracing_subscriber::EnvFilter;
use upstream::{Upstream, UpstreamOptions};
use vault::{EncryptionKey, KeyRing};

use crate::sim::Access;

/// The measured integration.
pub(crate) const INTEGRATION: &str = "twilio";
/// The measured sync.
pub(crate) const SYNC: &str = "twilio-messages";
/// The provider behind the proxy: nginx with a few files.
pub(crate) const ORIGIN: &str = "origin";
/// The synced connection.
pub(crate) const CONNECTION: &str = "bench";
/// The API key of every measured database. The databases are deleted after the run.
pub(crate) const API_KEY: &str = "trunkline_dev_benchmark_benchmark_benchmark_0";
/// The encryption key of every measured database: 32 zero bytes.
pub(crate) const ENCRYPTION_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// The binary's default log filter.
const LOG: &str =
    "warn,trunkline=info,api=info,worker=info,gateway=info,upstream=info,store=info,vault=info,registry=info";

/// The options of a gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AppOptions {
    /// The URL of the database.
    pub(crate) database: String,
    /// The simulator.
    pub(crate) sim: Access,
    /// A folder of provider files that replace built-in ones.
    pub(crate) integrations: Option<PathBuf>,
}

/// A gateway and a caller with an API key.
pub(crate) struct App {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) caller: Caller,
}

impl App {
    /// Starts the gateway. Creates missing tables.
    pub(crate) async fn start(options: &AppOptions) -> anyhow::Result<Self> {
        // Formatting log lines is part of the measured work; writing them to a file is not.
        let log = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .with_env_filter(EnvFilter::new(LOG))
            .with_writer(std::io::sink);
        // Set by an earlier app of this process, if any.
        drop(log.try_init());
        let clock = Clock::system();
        let store = open(&options.database).await?;
        let base_urls = HashMap::from([
            (INTEGRATION.parse()?, options.sim.url.parse()?),
            (ORIGIN.parse()?, options.sim.url.parse()?),
        ]);
        let upstream = UpstreamOptions {
            base_urls,
            allow_private_webhooks: true,
            ..UpstreamOptions::default()
        };
        let keys = KeyRing::new(EncryptionKey::from_base64(ENCRYPTION_KEY)?, Vec::new());
        let gateway = Gateway::start(GatewayParts {
            store,
            registry: Registry::load(options.integrations.as_deref())?,
            upstream: Upstream::new(upstream, clock.clone())?,
            keys: KeySource::Given(keys),
            clock,
            public_url: None,
        })
        .await?;
        let secret = SecretString::from(API_KEY);
        api_keys::bootstrap(&gateway, &"dev".parse()?, Some(secret.clone())).await?;
        let caller = api_keys::authenticate(&gateway, secret.expose_secret()).await?;
        Ok(Self { gateway, caller })
    }

    /// Connects the simulator's account.
    pub(crate) async fn connect(&self, sim: &Access) -> anyhow::Result<()> {
        let body = json!({
            "connectionId": CONNECTION, "accountSid": sim.account, "apiKeySid": sim.key, "apiKeySecret": sim.secret,
        });
        connections::connect(
            &self.gateway,
            &self.caller,
            INTEGRATION,
            serde_json::from_value(body)?,
        )
        .await?;
        Ok(())
    }
}

/// Opens a database and creates its control tables.
pub(crate) async fn open(address: &str) -> anyhow::Result<Store> {
    let store = Store::open(&address.parse()?, StoreOptions::default())
        .await
        .with_context(|| format!("cannot open {address}"))?;
    store.migrate().await?;
    Ok(store)
}
