//! The handle: starts the server on threads of its own, and drives it from a test.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use anyhow::Context;
use chrono::{DateTime, Duration, Utc};

use crate::assets::Assets;
use crate::change::{Mutation, MutationReport, NewMessage, Patch};
use crate::config::SimConfig;
use crate::credentials::Credentials;
use crate::faults::Faults;
use crate::http;
use crate::message::Message;
use crate::requests::RequestLog;
use crate::shared::Shared;
use crate::verification::SentCode;
use crate::walk::ALWAYS;

const BATCH: usize = 512;

/// A running simulator. Its server stops when this is dropped.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Binds to 127.0.0.1 and serves. Works from any runtime or none.
    pub fn start(config: SimConfig) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port))
            .with_context(|| format!("binding port {} of 127.0.0.1", config.port))?;
        let url = format!(
            "http://{}",
            listener.local_addr().context("asking for the bound address")?
        );
        let workers = config.workers.max(1);
        let shared = Arc::new(Shared::new(config, url));
        let (started, handle) = mpsc::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("twilio-sim".to_owned())
            .spawn(move || serve(listener, workers, &served, &started))
            .context("starting the simulator's thread")?;
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

    /// The accounts and keys that it accepts.
    pub fn credentials(&self) -> Credentials {
        self.shared.credentials.clone()
    }

    /// The numbers and services of the main account.
    pub fn assets(&self) -> Assets {
        Assets::of_main(&self.shared)
    }

    /// Every verification that was started, newest first, with its code.
    pub fn verifications(&self) -> Vec<SentCode> {
        self.shared
            .verifications()
            .sent_codes(self.shared.clock.seconds())
    }

    /// From now on messages, calls and codes for `recipient` are refused with this of Twilio's codes (21610 for one who opted out,
    /// 21608 for one whom a trial account may not write to, and so on); `None` takes it back.
    pub fn set_unreachable(&self, recipient: &str, code: Option<u32>) {
        self.shared.set_unreachable(recipient, code);
    }

    /// Replaces all faults.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.set_faults(faults);
    }

    /// The faults in force.
    pub fn faults(&self) -> Faults {
        self.shared.faults()
    }

    /// Moves the clock, whether frozen or not.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    /// The time by the simulator's clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    /// Changes a share of the main account's messages.
    pub fn mutate(&self, mutation: &Mutation) -> MutationReport {
        let (mut world, now) = self.shared.write_main();
        world.mutate(mutation, now)
    }

    /// Adds a message to the main account and tells its SID.
    pub fn insert(&self, message: NewMessage) -> String {
        http::insert(&self.shared, message)
    }

    /// Changes one message; `false` when there is none of this SID.
    pub fn patch(&self, sid: &str, patch: Patch) -> bool {
        http::patch(&self.shared, sid, patch)
    }

    /// Deletes one message; `false` when there is none of this SID.
    pub fn delete(&self, sid: &str) -> bool {
        http::delete(&self.shared, sid)
    }

    /// One message as the API would answer it now.
    pub fn message(&self, sid: &str) -> Option<serde_json::Value> {
        let (world, now) = self.shared.read_main();
        world
            .row(sid, now)
            .and_then(|row| serde_json::to_value(row.to_message()).ok())
    }

    /// Shows every live message of the main account as it is now, newest first. The simulator may be used meanwhile; what
    /// changes during the walk may or may not be seen.
    pub fn for_each_truth(&self, mut show: impl FnMut(Message)) {
        let mut anchor = None;
        loop {
            let (world, now) = self.shared.read_main();
            let keys: Vec<_> = world.newest_first(ALWAYS, anchor, now).take(BATCH).collect();
            let messages: Vec<_> = keys
                .iter()
                .filter_map(|key| world.row_at(*key, now))
                .map(|row| row.to_message())
                .collect();
            drop(world);
            messages.into_iter().for_each(&mut show);
            match keys.last() {
                Some(last) => anchor = Some(*last),
                None => return,
            }
        }
    }

    /// How many messages of the main account are alive.
    pub fn live_count(&self) -> u64 {
        let (world, now) = self.shared.read_main();
        world.live_count(now)
    }

    /// What was asked of the Twilio API.
    pub fn requests(&self) -> RequestLog {
        self.shared.log().clone()
    }

    /// Empties the request log.
    pub fn reset_requests(&self) {
        *self.shared.log() = RequestLog::default();
    }

    /// From now on the user name (an account's or a key's SID) is refused with 401/20003.
    pub fn revoke(&self, username: &str) {
        self.shared.revoke(username);
    }

    /// Takes a revocation back.
    pub fn restore(&self, username: &str) {
        self.shared.restore(username);
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // The command is sent at once; the future only waits for its completion, which joining the thread does too.
        drop(self.server.stop(false));
        if let Some(thread) = self.thread.take() {
            // A panic in there has been reported by the panic hook.
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
                // A receiver that is gone has given up on us; then so do we.
                if started.send(Ok(running.handle())).is_ok()
                    && let Err(error) = running.await
                {
                    tracing::error!(%error, "the simulator's server ended");
                }
            }
            Err(error) => {
                let _ = started.send(Err(anyhow::Error::new(error).context("listening")));
            }
        }
    });
}
