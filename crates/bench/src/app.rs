//! A gateway as the binary wires it, for the children: production's options, its log made and thrown away.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::Context;
use domain::Clock;
use gateway::{Caller, Gateway, KeySource, Parts};
use registry::Registry;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use store::{Store, StoreOptions};
use tracing_subscriber::EnvFilter;
use upstream::{Upstream, UpstreamOptions};
use vault::{KeyRing, SecretKey};

use crate::sim::Access;

/// The integration that is measured.
pub(crate) const INTEGRATION: &str = "twilio";
/// Its sync.
pub(crate) const SYNC: &str = "twilio-messages";
/// The provider behind the proxy: nginx with a few files.
pub(crate) const ORIGIN: &str = "origin";
/// The connection that is synced.
pub(crate) const CONNECTION: &str = "bench";
/// The API key of every database that is measured; they are gone with the run.
pub(crate) const API_KEY: &str = "trunkline_dev_benchmark_benchmark_benchmark_0";
/// Their encryption key: 32 bytes of zero.
pub(crate) const ENCRYPTION_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// What the binary logs if nobody says otherwise.
const LOG: &str =
    "warn,trunkline=info,api=info,worker=info,gateway=info,upstream=info,store=info,vault=info,registry=info";

/// What a gateway is wired to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AppOrder {
    /// The database's address.
    pub(crate) database: String,
    /// The simulator.
    pub(crate) sim: Access,
    /// A folder of provider files that win over those built in.
    pub(crate) integrations: Option<PathBuf>,
}

/// A gateway and somebody who may call it.
pub(crate) struct App {
    pub(crate) gateway: Gateway,
    pub(crate) caller: Caller,
}

impl App {
    /// Wires it; makes the tables if they are missing.
    pub(crate) async fn start(order: &AppOrder) -> anyhow::Result<Self> {
        // Making the lines is part of the work; where they go is not.
        tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .with_env_filter(EnvFilter::new(LOG))
            .with_writer(std::io::sink)
            .init();
        let clock = Clock::system();
        let store = open(&order.database).await?;
        let base_urls = HashMap::from([
            (INTEGRATION.parse()?, order.sim.url.parse()?),
            (ORIGIN.parse()?, order.sim.url.parse()?),
        ]);
        let upstream = UpstreamOptions {
            base_urls,
            ..UpstreamOptions::default()
        };
        let keys = KeyRing::new(SecretKey::from_base64(ENCRYPTION_KEY)?, Vec::new());
        let gateway = Gateway::start(Parts {
            store,
            registry: Registry::load(order.integrations.as_deref())?,
            upstream: Upstream::new(upstream, clock.clone())?,
            keys: KeySource::Given(keys),
            clock,
        })
        .await?;
        let secret = SecretString::from(API_KEY);
        gateway
            .keys()
            .bootstrap(&"dev".parse()?, Some(secret.clone()))
            .await?;
        let caller = gateway.keys().authenticate(secret.expose_secret()).await?;
        Ok(Self { gateway, caller })
    }

    /// Connects the simulator's account.
    pub(crate) async fn connect(&self, sim: &Access) -> anyhow::Result<()> {
        let body: Map<String, Json> = json!({
            "connectionId": CONNECTION, "accountSid": sim.account, "apiKeySid": sim.key, "apiKeySecret": sim.secret,
        })
        .as_object()
        .cloned()
        .unwrap_or_default();
        self.gateway
            .connections()
            .connect(&self.caller, INTEGRATION, body)
            .await?;
        Ok(())
    }
}

/// The database with all control tables.
pub(crate) async fn open(address: &str) -> anyhow::Result<Store> {
    let store = Store::open(&address.parse()?, StoreOptions::default())
        .await
        .with_context(|| format!("opening {address}"))?;
    store.migrate().await?;
    Ok(store)
}
