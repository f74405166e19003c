//! A whole Trunkline for one test.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use domain::{
    ActionJob, ApiKeyId, Clock, Endpoint, EnvironmentId, EnvironmentName, IncomingEvent, Model, RunFilter,
    RunStatus, StoredRecord, StoredSubscription, Sync,
};
use gateway::{Caller, Gateway, GatewayError, GatewayParts, KeySource, Scope, records};
use registry::Registry;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value as Json, json};
use store::testing::TestDatabase;
use store::{Store, api_keys, environments, events, lease, runs};
use tokio_util::sync::CancellationToken;
use twilio_sim::Simulator;
use vault::{EncryptionKey, KeyFile, KeyRing};
use worker::{Worker, WorkerOptions};

use crate::client::Client;
use crate::logs::{self, TestLog};
use crate::wait::wait_until;

/// The environment of [`TestApp::admin`].
pub(crate) const ENVIRONMENT: &str = "dev";

/// A whole Trunkline: API, store, simulator; and workers that a test starts.
///
/// Dropping it fails the test if an error was logged that [`TestApp::expect_error`] did not name.
pub struct TestApp {
    pub(crate) admin: Client,
    pub(crate) anonymous: Client,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) clock: Clock,
    pub(crate) simulator: Simulator,
    pub(crate) store: Store,
    pub(crate) server: ServerHandle,
    pub(crate) seen: Arc<Mutex<String>>,
    pub(crate) log: Arc<TestLog>,
    pub(crate) environments: Mutex<HashMap<EnvironmentName, EnvironmentId>>,
    pub(crate) database: TestDatabase,
    pub(crate) encryption_key: SecretString,
    pub(crate) key_file: KeyFile,
    pub(crate) _folder: tempfile::TempDir,
}

impl Drop for TestApp {
    fn drop(&mut self) {
        // `stop` sends the command at once; the future only waits for its completion.
        drop(self.server.stop(false));
        let errors = self.log.take_unexpected();
        assert!(
            errors.is_empty() || std::thread::panicking(),
            "the log holds errors that the test did not expect (`expect_error` names those that it does): {errors:#?}"
        );
    }
}

impl TestApp {
    /// Returns a client whose key has every scope in the environment `dev`.
    pub fn admin(&self) -> &Client {
        &self.admin
    }

    /// Returns a client without a key.
    pub fn anonymous(&self) -> &Client {
        &self.anonymous
    }

    /// Returns a client whose key has every scope in an environment, which is created if necessary.
    pub async fn environment(&self, name: &str) -> Client {
        self.client_of(name, Scope::ALL).await
    }

    /// Returns a client whose key has only these scopes in the environment `dev`.
    pub async fn client_with(&self, scopes: &[Scope]) -> Client {
        self.client_of(ENVIRONMENT, scopes).await
    }

    async fn client_of(&self, name: &str, scopes: &[Scope]) -> Client {
        let name: EnvironmentName = name.parse().expect("a name of an environment");
        let secret = vault::api_key::generate(&name);
        let (hash, now) = (vault::api_key::hash(secret.expose_secret()), self.clock.now());
        let prefix = vault::api_key::display_prefix(secret.expose_secret());
        let scopes = scopes.iter().map(ToString::to_string).collect();
        let made = name.clone();
        let environment = self.store.write(move |c| {
            let environment = environments::ensure(c, &made, now)?.id;
            let id = ApiKeyId::new(now);
            let key = api_keys::NewApiKey {
                environment,
                id,
                name: "test".to_owned(),
                prefix,
                hash,
                scopes,
                created_at: now,
            };
            api_keys::insert(c, &key)?;
            Ok(environment)
        });
        let environment = environment.await.expect("a key can be stored");
        self.environments
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, environment);
        self.anonymous.with_key(Some(secret.expose_secret().to_owned()))
    }

    /// Returns the clock of everything except the simulator; [`TestApp::advance`] moves both.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Moves this clock and the simulator's.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.simulator
            .advance(chrono::Duration::from_std(by).expect("a span within range"));
    }

    /// The simulated provider.
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// Returns the use cases, for calls that bypass the API.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Returns the store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the database.
    pub fn database(&self) -> &TestDatabase {
        &self.database
    }

    /// Returns the key that seals credentials, for another process on the same database.
    pub fn encryption_key(&self) -> &SecretString {
        &self.encryption_key
    }

    /// Returns the key file of an app that was started with [`crate::AppBuilder::with_key_file`].
    pub fn key_file(&self) -> &KeyFile {
        &self.key_file
    }

    /// Allows errors in the log whose text contains `part`; any other error fails the test.
    pub fn expect_error(&self, part: &str) {
        self.log.expect_error(part);
    }

    /// Returns what the process logged so far, including the lines of other tests.
    pub fn logs(&self) -> String {
        logs::text()
    }

    /// Returns all responses that this app's clients got so far, headers and bodies.
    pub fn responses(&self) -> String {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns a body that connects the simulator's account as `name` with an API key.
    pub fn connect_body(&self, name: &str) -> Json {
        let known = self.simulator.credentials();
        json!({
            "connectionId": name,
            "accountSid": known.account_sid,
            "apiKeySid": known.main_key_sid,
            "apiKeySecret": known.main_key_secret,
        })
    }

    /// Connects the simulator's account in the environment `dev`; returns the connection's name.
    pub async fn connect_twilio(&self) -> String {
        self.connect_as(&self.admin, "my-twilio").await
    }

    /// Connects the simulator's account for a client as `name`; returns the connection's name.
    pub async fn connect_as(&self, client: &Client, name: &str) -> String {
        let reply = client
            .post("/twilio/connect", &self.connect_body(name))
            .await
            .expect(201);
        reply
            .json()
            .pointer("/connection/id")
            .and_then(Json::as_str)
            .expect("the connection's name")
            .to_owned()
    }

    /// Starts another process on the same database, with other provider files.
    ///
    /// # Panics
    /// If the process does not start.
    pub async fn another_gateway(&self, registry: Registry) -> Arc<Gateway> {
        let key = EncryptionKey::from_base64(self.encryption_key.expose_secret()).expect("a valid key");
        self.try_another_gateway(registry, KeySource::Given(KeyRing::new(key, Vec::new())))
            .await
            .expect("the gateway starts")
    }

    /// Starts another process on the same database, with its own keys.
    pub async fn try_another_gateway(
        &self,
        registry: Registry,
        keys: KeySource,
    ) -> Result<Arc<Gateway>, GatewayError> {
        let parts = GatewayParts {
            store: self.store.clone(),
            registry,
            upstream: self.gateway.upstream.clone(),
            keys,
            clock: self.clock.clone(),
            public_url: self.gateway.public_url.clone(),
        };
        Gateway::start(parts).await
    }

    /// Starts a worker; its task ends after the token is cancelled.
    pub fn start_worker(&self, options: WorkerOptions) -> (CancellationToken, tokio::task::JoinHandle<()>) {
        let stopping = CancellationToken::new();
        let worker = Worker::new(Arc::clone(&self.gateway), options);
        (stopping.clone(), tokio::spawn(worker.run(stopping)))
    }

    /// Runs a worker until nothing is due by the clock and no run is active.
    ///
    /// # Panics
    /// If that takes more than five minutes, or the worker panics.
    pub async fn run_due(&self) {
        self.run_due_with(WorkerOptions::default()).await;
    }

    /// Runs a worker with these options, like [`TestApp::run_due`].
    ///
    /// # Panics
    /// As [`TestApp::run_due`].
    pub async fn run_due_with(&self, options: WorkerOptions) {
        let (stopping, worker) = self.start_worker(WorkerOptions {
            poll: Duration::from_millis(20),
            ..options
        });
        wait_until("nothing is due and no run is active", async || {
            self.is_idle().await
        })
        .await;
        stopping.cancel();
        worker.await.expect("the worker does not panic");
    }

    async fn is_idle(&self) -> bool {
        let now = self.clock.now();
        let environments: Vec<EnvironmentId> = self
            .environments
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .copied()
            .collect();
        let idle = self.store.read(move |c| {
            let newest = |c: &mut store::DbConn| {
                let filter = RunFilter {
                    limit: 1_000,
                    ..RunFilter::default()
                };
                let all = environments
                    .iter()
                    .map(|environment| runs::list(c, *environment, &filter));
                all.collect::<Result<Vec<_>, _>>()
            };
            // A worker may end one run and claim the next between two reads: the second read would then show another run.
            let before = newest(c)?;
            let active = before
                .iter()
                .flatten()
                .any(|(run, _)| matches!(run.status, RunStatus::Queued | RunStatus::Running));
            let due = lease::next_due::<Sync>(c)?.is_some_and(|due| due <= now);
            // What is due becomes held, and not the other way round within these reads: so due is read first.
            let acting = lease::next_due::<ActionJob>(c)?.is_some_and(|due| due <= now)
                || lease::count_held::<ActionJob>(c)? > 0;
            let delivering = events::any_unpublished(c)?
                || lease::next_due::<Endpoint>(c)?.is_some_and(|due| due <= now)
                || lease::count_held::<Endpoint>(c)? > 0;
            let receiving = lease::next_due::<IncomingEvent>(c)?.is_some_and(|due| due <= now)
                || lease::count_held::<IncomingEvent>(c)? > 0;
            let subscribing = lease::next_due::<StoredSubscription>(c)?.is_some_and(|due| due <= now)
                || lease::count_held::<StoredSubscription>(c)? > 0;
            let waiting = due || acting || delivering || receiving || subscribing;
            Ok(!active && !waiting && newest(c)? == before)
        });
        idle.await.expect("the database can be read")
    }

    /// Calls `show` with every live row of the connection's messages, newest first, with one page in memory.
    pub async fn for_each_row(&self, connection: &str, mut show: impl FnMut(&Model, &StoredRecord)) {
        let parameters = vec![("connectionId".to_owned(), connection.to_owned())];
        let filter = records::filter(
            &self.gateway,
            &self.caller().await,
            "twilio",
            "messages",
            parameters,
        )
        .await
        .expect("there are records");
        let mut after = None;
        loop {
            let page = records::records_after(&self.gateway, &filter, after, 1_000)
                .await
                .expect("the records can be read");
            for record in &page {
                show(filter.model(), record);
            }
            match page.last() {
                Some(last) => after = Some(last.position.clone()),
                None => return,
            }
        }
    }

    /// Returns how many live rows the connection's messages have.
    pub async fn rows(&self, connection: &str) -> usize {
        let mut rows = 0;
        self.for_each_row(connection, |_, _| rows += 1).await;
        rows
    }

    /// Authenticates the admin's key.
    ///
    /// # Panics
    /// If the admin's key is not valid anymore.
    pub async fn caller(&self) -> Caller {
        let key = self.admin.key().expect("the admin has a key");
        gateway::api_keys::authenticate(&self.gateway, key)
            .await
            .expect("the admin's key is valid")
    }
}
