//! Starts the app of a test.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use api::ApiOptions;
use domain::{Clock, Timestamp};
use gateway::{Gateway, GatewayParts, KeySource};
use registry::Registry;
use store::Dialect;
use store::testing::{TestContext, TestDatabase};
use twilio_sim::{SimConfig, Simulator};
use upstream::{Backoff, Upstream, UpstreamOptions};
use vault::{EncryptionKey, KeyFile, KeyRing};
use web::{WebOptions, WebPages};

use crate::app::{ENVIRONMENT, TestApp};
use crate::client::Client;
use crate::logs::TestLog;

/// When the manual clock starts: a Wednesday, at noon.
const START: i64 = 1_793_793_600_000_000;

/// The public URL of an app that has one.
pub const PUBLIC_URL: &str = "https://trunkline.example.com";

/// Returns the built-in providers and those of the file `name` with this text.
///
/// # Panics
/// If the file is invalid.
pub fn registry_with(name: &str, text: &str) -> Registry {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join(name), text).expect("the file can be written");
    Registry::load(Some(folder.path())).expect("the provider file is valid")
}

/// Options of a [`TestApp`].
#[derive(Debug)]
pub struct AppBuilder {
    sim: SimConfig,
    upstream: UpstreamOptions,
    registry: Option<Registry>,
    clock: Clock,
    key_file: bool,
    database: Option<TestDatabase>,
    public_url: bool,
    web: WebOptions,
}

impl Default for AppBuilder {
    fn default() -> Self {
        let start = Timestamp::from_micros(START).to_chrono();
        let sim = SimConfig {
            now: Some(start),
            messages: 300,
            ..SimConfig::default()
        };
        // Backoffs are short, so that faults do not make tests slow.
        let upstream = UpstreamOptions {
            backoff: Backoff {
                first: Duration::from_millis(5),
                longest: Duration::from_millis(50),
            },
            deadline: Duration::from_secs(30),
            // Receivers of webhooks listen on the loopback.
            allow_private_webhooks: true,
            ..UpstreamOptions::default()
        };
        Self {
            sim,
            upstream,
            registry: None,
            clock: Clock::manual(Timestamp::from_micros(START)),
            key_file: false,
            database: None,
            public_url: false,
            web: WebOptions::default(),
        }
    }
}

impl AppBuilder {
    /// Changes the configuration of the simulator.
    #[must_use]
    pub fn simulator(mut self, change: impl FnOnce(&mut SimConfig)) -> Self {
        change(&mut self.sim);
        self
    }

    /// Changes the options of requests to providers. A base URL for `twilio` replaces the simulator's.
    #[must_use]
    pub fn upstream(mut self, change: impl FnOnce(&mut UpstreamOptions)) -> Self {
        change(&mut self.upstream);
        self
    }

    /// Uses other providers than the built-in ones.
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// Uses the built-in providers and those of the file `name` with this text.
    #[must_use]
    pub fn provider_file(self, name: &str, text: &str) -> Self {
        self.registry(registry_with(name, text))
    }

    /// Uses the built-in providers, with changes to Twilio's file.
    #[must_use]
    pub fn twilio_file(self, change: impl FnOnce(&str) -> String) -> Self {
        let text = change(include_str!("../../../integrations/twilio.yaml"));
        self.provider_file("twilio.yaml", &text)
    }

    /// Replaces the base URL of a provider.
    #[must_use]
    pub fn provider_url(mut self, provider: &str, url: &str) -> Self {
        self.upstream.base_urls.insert(
            provider.parse().expect("a provider's name"),
            url.parse().expect("a URL"),
        );
        self
    }

    /// Uses the system's clock, for tests that start processes; the simulator's clock stands still at the current time.
    #[must_use]
    pub fn system_clock(mut self) -> Self {
        self.clock = Clock::system();
        self.sim.now = Some(self.clock.now().to_chrono());
        self
    }

    /// Keeps the encryption keys in [`TestApp::key_file`], which the start creates.
    #[must_use]
    pub fn with_key_file(mut self) -> Self {
        self.key_file = true;
        self
    }

    /// Uses this database; by default a new one is created.
    #[must_use]
    pub fn database(mut self, database: TestDatabase) -> Self {
        self.database = Some(database);
        self
    }

    /// Gives the app a public URL, [`PUBLIC_URL`], at which the simulator reaches it.
    #[must_use]
    pub fn with_public_url(mut self) -> Self {
        self.public_url = true;
        self
    }

    /// Changes the options of the pages.
    #[must_use]
    pub fn web(mut self, change: impl FnOnce(&mut WebOptions)) -> Self {
        change(&mut self.web);
        self
    }

    /// Starts the app; `None` if PostgreSQL is wanted and its programs are missing.
    pub async fn start(self, dialect: Dialect) -> Option<TestApp> {
        let log = TestLog::of_this_test();
        let database = match self.database {
            Some(database) => database,
            None => TestDatabase::new(dialect).await?,
        };
        let store = database.store().await;
        let (clock, key) = (self.clock, EncryptionKey::generate());
        let encryption_key = key.to_base64();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let key_file = KeyFile::at(folder.path().join("trunkline.key"));
        let keys = if self.key_file {
            KeySource::File(key_file.clone())
        } else {
            KeySource::Given(KeyRing::new(key, Vec::new()))
        };
        let simulator = Simulator::start(self.sim).expect("the simulator starts");
        let mut options = self.upstream;
        let twilio = "twilio".parse().expect("a name");
        let address = url::Url::parse(&simulator.url()).expect("the simulator's address");
        options.base_urls.entry(twilio).or_insert(address);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("the bound address"));
        let parts = GatewayParts {
            public_url: self.public_url.then(|| PUBLIC_URL.to_owned()),
            store: store.clone(),
            registry: self
                .registry
                .unwrap_or_else(|| Registry::builtin().expect("the built-in providers are valid")),
            upstream: Upstream::new(options, clock.clone()).expect("valid options of requests"),
            keys,
            clock: clock.clone(),
        };
        let gateway = Gateway::start(parts).await.expect("the gateway starts");
        if self.public_url {
            simulator.route_webhooks(PUBLIC_URL, &base);
        }
        let server = serve(&gateway, listener, self.web);
        // reqwest uses the cryptography provider of the process; an earlier app may have set it.
        drop(rustls::crypto::ring::default_provider().install_default());
        // Tests check responses as they arrive.
        let http = reqwest::Client::builder()
            .no_gzip()
            // Shorter than the server keeps an idle connection, so that no request meets one that is closing.
            .pool_idle_timeout(Duration::from_secs(1))
            .build()
            .expect("a client");
        let seen = Arc::default();
        let anonymous = Client::new(http, base, None, Arc::clone(&seen));
        let mut app = TestApp {
            anonymous: anonymous.clone(),
            admin: anonymous,
            gateway,
            clock,
            simulator,
            store,
            server,
            seen,
            log,
            environments: Mutex::default(),
            database,
            encryption_key,
            key_file,
            _folder: folder,
        };
        app.admin = app.environment(ENVIRONMENT).await;
        let first = app.anonymous.get("/health").await.expect(200);
        app.log
            .add_server(first.header("x-request-id").expect("the id of a request"));
        Some(app)
    }
}

impl TestContext for TestApp {
    async fn on(dialect: Dialect) -> Option<Self> {
        AppBuilder::default().start(dialect).await
    }
}

impl TestApp {
    /// Starts an app with the defaults: 300 messages in the simulator, and a clock that stands still.
    pub async fn on(dialect: Dialect) -> Option<Self> {
        AppBuilder::default().start(dialect).await
    }
}

fn serve(gateway: &Arc<Gateway>, listener: TcpListener, web: WebOptions) -> ServerHandle {
    let options = ApiOptions {
        threads: Some(1),
        drain: Duration::ZERO,
        ..ApiOptions::default()
    };
    let pages = WebPages::new(web, gateway.public_url.as_deref()).expect("the built-in texts are valid");
    let server = api::serve(Arc::clone(gateway), listener, options, move |config| {
        pages.register(config);
    })
    .expect("the API is served");
    let handle = server.handle();
    tokio::spawn(server);
    handle
}
