//! A whole Trunkline for one test.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use domain::{ApiKeyId, Clock, EnvironmentId, EnvironmentName, Model, RunFilter, RunStatus, StoredRecord};
use gateway::{Caller, Gateway, GatewayError, KeySource, Parts, Scope};
use registry::Registry;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value as Json, json};
use store::testing::TestDatabase;
use store::{Store, actions, api_keys, environments, runs, schedule};
use tokio_util::sync::CancellationToken;
use twilio_sim::Simulator;
use vault::{KeyFile, KeyRing, SecretKey};
use worker::{Worker, WorkerOptions};

use crate::client::Client;
use crate::logs::{self, TestLog};
use crate::wait::wait_until;

/// The environment of [`TestApp::admin`].
pub(crate) const ENVIRONMENT: &str = "dev";

/// A whole Trunkline: API, store, simulator; and a worker when asked.
///
/// Dropping it fails the test if an error was logged that [`TestApp::expect_error`] did not name.
pub struct TestApp {
    pub(crate) admin: Client,
    pub(crate) anonymous: Client,
    pub(crate) gateway: Gateway,
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
        // The command is sent at once; the future only waits for its completion.
        drop(self.server.stop(false));
        let errors = self.log.take_unexpected();
        assert!(
            errors.is_empty() || std::thread::panicking(),
            "the log holds errors that the test did not expect (`expect_error` names those that it does): {errors:#?}"
        );
    }
}

impl TestApp {
    /// A client with a key of the environment `dev` that may do everything.
    pub fn admin(&self) -> &Client {
        &self.admin
    }

    /// A client without a key.
    pub fn anonymous(&self) -> &Client {
        &self.anonymous
    }

    /// A client with a key of an environment that may do everything; the environment is made if it is not there.
    pub async fn environment(&self, name: &str) -> Client {
        self.client_of(name, Scope::ALL).await
    }

    /// A client of the environment `dev` whose key has only these scopes.
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

    /// The clock of everything but the simulator; [`TestApp::advance`] moves both.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Moves the clock and the simulator's.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.simulator
            .advance(chrono::Duration::from_std(by).expect("a span that a test waits"));
    }

    /// The simulated provider.
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// The use cases, for a look past the API.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Where the database is.
    pub fn database(&self) -> &TestDatabase {
        &self.database
    }

    /// The key that seals credentials, for another process over the same database.
    pub fn encryption_key(&self) -> &SecretString {
        &self.encryption_key
    }

    /// The file that keeps the keys of an app made with [`crate::AppBuilder::with_key_file`].
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

    /// All answers that this app's clients got so far, headers and bodies.
    pub fn answers(&self) -> String {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A body that connects the simulator's account under `name` with an API key.
    pub fn connect_body(&self, name: &str) -> Json {
        let known = self.simulator.credentials();
        json!({
            "connectionId": name,
            "accountSid": known.account_sid,
            "apiKeySid": known.main_key_sid,
            "apiKeySecret": known.main_key_secret,
        })
    }

    /// Connects the simulator's account in the environment `dev`; gives the connection's name.
    pub async fn connect_twilio(&self) -> String {
        self.connect_as(&self.admin, "my-twilio").await
    }

    /// The same for another client and under another name.
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

    /// Another process over the same database, with other provider files.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn another_gateway(&self, registry: Registry) -> Gateway {
        let key = SecretKey::from_base64(self.encryption_key.expose_secret()).expect("the key is right");
        self.try_another_gateway(registry, KeySource::Given(KeyRing::new(key, Vec::new())))
            .await
            .expect("the gateway starts")
    }

    /// Starts another process over the same database, with keys of its own.
    pub async fn try_another_gateway(
        &self,
        registry: Registry,
        keys: KeySource,
    ) -> Result<Gateway, GatewayError> {
        let parts = Parts {
            store: self.store.clone(),
            registry,
            upstream: self.gateway.upstream().clone(),
            keys,
            clock: self.clock.clone(),
        };
        Gateway::start(parts).await
    }

    /// Starts a worker; it works until its token is cancelled, and then its task ends.
    pub fn start_worker(&self, options: WorkerOptions) -> (CancellationToken, tokio::task::JoinHandle<()>) {
        let stopping = CancellationToken::new();
        let worker = Worker::new(self.gateway.clone(), options);
        (stopping.clone(), tokio::spawn(worker.run(stopping)))
    }

    /// Lets a worker work until nothing is due by the clock and no run is under way.
    ///
    /// # Panics
    /// If the worker does not come to that in five minutes, or panics.
    pub async fn run_due(&self) {
        self.run_due_with(WorkerOptions::default()).await;
    }

    /// The same with a worker of these options.
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
        worker.await.expect("the worker ends well");
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
            // A worker may end one run and claim the next between two looks: it would show as another run in the last one.
            let before = newest(c)?;
            let active = before
                .iter()
                .flatten()
                .any(|(run, _)| matches!(run.status, RunStatus::Queued | RunStatus::Running));
            let due = schedule::next_due(c)?.is_some_and(|due| due <= now);
            let acting =
                actions::held_any_environment(c)? > 0 || actions::next_due(c)?.is_some_and(|due| due <= now);
            Ok(!active && !due && !acting && newest(c)? == before)
        });
        idle.await.expect("the database answers")
    }

    /// Shows every live row of the connection's messages, newest first, a page in memory at a time.
    pub async fn for_each_row(&self, connection: &str, mut show: impl FnMut(&Model, &StoredRecord)) {
        let parameters = vec![("connectionId".to_owned(), connection.to_owned())];
        let records = self.gateway.records();
        let filter = records
            .filter(&self.caller().await, "twilio", "messages", parameters)
            .await
            .expect("there are records");
        let mut after = None;
        loop {
            let page = records
                .after(&filter, after, 1_000)
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

    /// How many live rows the connection's messages have.
    pub async fn rows(&self, connection: &str) -> usize {
        let mut rows = 0;
        self.for_each_row(connection, |_, _| rows += 1).await;
        rows
    }

    /// Who the admin is to the gateway.
    ///
    /// # Panics
    /// If the admin's key is not good any more.
    pub async fn caller(&self) -> Caller {
        let key = self.admin.key().expect("the admin has a key");
        self.gateway
            .keys()
            .authenticate(key)
            .await
            .expect("the admin's key is good")
    }
}
