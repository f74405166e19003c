//! The handle of a simulator: starts the server on its own threads, and controls it from a test.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use anyhow::Context;
use chrono::{DateTime, Duration, Utc};

use crate::assets::Assets;
use crate::callbacks::{self, ConversationEvent, CustomWebhook, InboundMessage};
use crate::change::{Mutation, MutationReport, NewMessage, Patch};
use crate::config::SimConfig;
use crate::credentials::Credentials;
use crate::faults::Faults;
use crate::http;
use crate::iterate::ALWAYS;
use crate::message::Message;
use crate::requests::RequestLog;
use crate::shared::Shared;
use crate::verification::SentCode;
use crate::webhooks::{Algorithm, WebhookLog, sign};

const BATCH: usize = 512;

/// A running simulator. Dropping it stops the server.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Binds to 127.0.0.1 and starts the server. Works with any async runtime or none.
    pub fn start(config: SimConfig) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port))
            .with_context(|| format!("cannot listen on 127.0.0.1:{}", config.port))?;
        let url = format!(
            "http://{}",
            listener.local_addr().context("cannot read the bound address")?
        );
        let workers = config.workers.max(1);
        let shared = Arc::new(Shared::new(config, url));
        let (started, handle) = mpsc::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("twilio-sim".to_owned())
            .spawn(move || serve(listener, workers, &served, &started))
            .context("cannot start the simulator's thread")?;
        let server = handle.recv().context("the simulator's thread ended early")??;
        Ok(Self {
            shared,
            server,
            thread: Some(thread),
        })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.shared.url.clone()
    }

    /// Returns the accounts and keys that the simulator accepts.
    pub fn credentials(&self) -> Credentials {
        self.shared.credentials.clone()
    }

    /// Returns the numbers and services of the main account.
    pub fn assets(&self) -> Assets {
        Assets::of_main(&self.shared)
    }

    /// Returns every started verification with its code, newest first.
    pub fn verifications(&self) -> Vec<SentCode> {
        self.shared
            .verifications()
            .sent_codes(self.shared.clock.seconds())
    }

    /// Makes messages, calls and codes to `recipient` fail with this Twilio code (21610: opted out, 21608: unverified number of a trial
    /// account, and so on). `None` makes the recipient reachable again.
    pub fn set_unreachable(&self, recipient: &str, code: Option<u32>) {
        self.shared.set_unreachable(recipient, code);
    }

    /// Replaces all faults.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.set_faults(faults);
    }

    /// Returns the current faults.
    pub fn faults(&self) -> Faults {
        self.shared.faults()
    }

    /// Moves the clock forward, frozen or not.
    ///
    /// Webhooks of the time in between are sent at once, in their order.
    pub fn advance(&self, by: Duration) {
        http::advance(&self.shared, by);
    }

    /// Returns the time of the simulator's clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    /// Changes a share of the main account's messages.
    pub fn mutate(&self, mutation: &Mutation) -> MutationReport {
        http::mutate(&self.shared, mutation)
    }

    /// Adds a message to the main account and returns its SID.
    pub fn insert(&self, message: NewMessage) -> String {
        http::insert(&self.shared, message)
    }

    /// Changes one message. Returns `false` if the SID does not exist. A new status is reported at once, to the status callback and to
    /// Event Streams.
    pub fn patch(&self, sid: &str, patch: Patch) -> bool {
        http::patch(&self.shared, sid, patch)
    }

    /// Deletes one message. Returns `false` if the SID does not exist.
    pub fn delete(&self, sid: &str) -> bool {
        http::delete(&self.shared, sid)
    }

    /// Returns one message as the API would return it now.
    pub fn message(&self, sid: &str) -> Option<serde_json::Value> {
        let (store, now) = self.shared.read_main();
        store
            .row(sid, now)
            .and_then(|row| serde_json::to_value(row.to_message()).ok())
    }

    /// Passes every live message of the main account to `show`, newest first. Concurrent changes may or may not be included.
    pub fn for_each_truth(&self, mut show: impl FnMut(Message)) {
        let mut anchor = None;
        loop {
            let (store, now) = self.shared.read_main();
            let keys: Vec<_> = store.newest_first(ALWAYS, anchor, now).take(BATCH).collect();
            let messages: Vec<_> = keys
                .iter()
                .filter_map(|key| store.row_at(*key, now))
                .map(|row| row.to_message())
                .collect();
            drop(store);
            messages.into_iter().for_each(&mut show);
            match keys.last() {
                Some(last) => anchor = Some(*last),
                None => return,
            }
        }
    }

    /// Returns the number of live messages of the main account.
    pub fn live_count(&self) -> u64 {
        let (store, now) = self.shared.read_main();
        store.live_count(now)
    }

    /// Stores an inbound message, and calls the number's or the Messaging Service's webhook. Returns the message's SID.
    pub fn receive(&self, message: &InboundMessage) -> String {
        callbacks::receive(&self.shared, message)
    }

    /// Ends a call with a final status of the API (`completed`, `busy`, `no-answer`, `failed`, `canceled`), which is reported at once.
    /// Returns `false` if there is no such call or status.
    pub fn end_call(&self, sid: &str, status: &str) -> bool {
        http::end_call(&self.shared, sid, status)
    }

    /// Calls the webhook that a Conversations service or the account has for an event. Returns `false` if it has none.
    pub fn conversation_event(&self, event: &ConversationEvent) -> bool {
        callbacks::announce(&self.shared, event)
    }

    /// Sends a webhook of the caller's making, signed like any other.
    pub fn send_webhook(&self, webhook: CustomWebhook) {
        callbacks::send_custom(&self.shared, webhook);
    }

    /// Sends the webhooks for one origin (`https://hooks.example.com`) to another one (`http://127.0.0.1:4000`), and accepts URLs of
    /// that origin. The simulator speaks no TLS, so webhooks for `https` need a route.
    pub fn route_webhooks(&self, public: &str, local: &str) {
        self.shared.sender.route(public, local);
    }

    /// Returns `X-Twilio-Signature` of a form for the main account. `form` is empty for GET and for JSON bodies.
    pub fn sign(&self, url: &str, form: &[(String, String)]) -> String {
        sign(&self.shared.credentials.auth_token, url, form, Algorithm::Sha1)
    }

    /// Returns the log of webhooks.
    pub fn webhooks(&self) -> WebhookLog {
        self.shared.sender.log().clone()
    }

    /// Empties the log of webhooks.
    pub fn reset_webhooks(&self) {
        *self.shared.sender.log() = WebhookLog::default();
    }

    /// Returns whether every webhook that is due was sent and answered.
    pub fn webhooks_idle(&self) -> bool {
        callbacks::is_idle(&self.shared)
    }

    /// Returns the log of requests to the Twilio API.
    pub fn requests(&self) -> RequestLog {
        self.shared.log().clone()
    }

    /// Empties the request log.
    pub fn reset_requests(&self) {
        *self.shared.log() = RequestLog::default();
    }

    /// Makes requests with this user name (an account's or a key's SID) fail with 401/20003.
    pub fn revoke(&self, username: &str) {
        self.shared.revoke(username);
    }

    /// Undoes a revocation.
    pub fn restore(&self, username: &str) {
        self.shared.restore(username);
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // `stop` sends its command at once. The future only waits for completion, and joining the thread waits too.
        drop(self.server.stop(false));
        if let Some(thread) = self.thread.take() {
            // The panic hook has reported a panic of the thread.
            let _ = thread.join();
        }
    }
}

fn serve(
    listener: TcpListener,
    workers: usize,
    shared: &Arc<Shared>,
    started: &mpsc::Sender<anyhow::Result<ServerHandle>>,
) {
    actix_web::rt::System::new().block_on(async move {
        let data = web::Data::from(Arc::clone(shared));
        let server = HttpServer::new(move || App::new().app_data(data.clone()).configure(http::configure))
            .workers(workers)
            .tcp_nodelay(true)
            .disable_signals()
            .shutdown_timeout(0)
            .listen(listener)
            .map(HttpServer::run);
        match server {
            Ok(running) => {
                // Ends with the system's runtime.
                actix_web::rt::spawn(callbacks::run(Arc::clone(shared)));
                // Without a receiver, the caller has given up.
                if started.send(Ok(running.handle())).is_ok()
                    && let Err(error) = running.await
                {
                    tracing::error!(%error, "the simulator's server ended");
                }
            }
            Err(error) => {
                let _ = started.send(Err(anyhow::Error::new(error).context("cannot listen")));
            }
        }
    });
}
