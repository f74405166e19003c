//! The simulated provider in its own process.

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use twilio_sim::{
    Faults, Mutation, MutationKind, MutationReport, NewMessage, Patch, SimConfig, Simulator, Status,
};

use crate::child::{self, Child, Kind};

/// A few days less than the retention, so that no message expires during a measurement.
const HISTORY_DAYS: u32 = 395;

#[derive(Serialize, Deserialize)]
struct SimOptions {
    messages: u64,
    latency_ms: u64,
    now: i64,
}

/// Options of a simulator.
#[derive(Serialize, Deserialize)]
enum Command {
    /// Changes messages.
    Change(Mutation),
    /// Adds this many messages that are sent but not delivered.
    Add(u64),
    /// Delivers these messages, which get a price.
    Deliver(Vec<String>),
    /// Signs these forms for a URL.
    Sign(String, Vec<Form>),
}

/// The parameters of a webhook.
pub(crate) type Form = Vec<(String, String)>;

/// The simulator's address and credentials.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Access {
    pub(crate) url: String,
    pub(crate) account: String,
    pub(crate) key: String,
    pub(crate) secret: String,
    /// The auth token, with which webhooks are signed.
    pub(crate) token: String,
}

/// A running simulator.
pub(crate) struct Sim {
    child: Child,
    /// The number of mutations so far. Each mutation selects other messages, because emptying a message twice changes it only once.
    changes: u64,
    /// Its address and credentials.
    pub(crate) access: Access,
}

impl Sim {
    /// Starts a simulator with a clock frozen at `now`, so that messages change only by mutations.
    pub(crate) async fn start(messages: u64, latency_ms: u64, now: Timestamp) -> anyhow::Result<Self> {
        let options = SimOptions {
            messages,
            latency_ms,
            now: now.as_micros(),
        };
        let mut child = Child::start(Kind::Sim, &options).await?;
        let access = child.output().await?;
        Ok(Self {
            child,
            changes: 0,
            access,
        })
    }

    /// Changes a share of the messages so that each record differs. Returns the number of changes.
    pub(crate) async fn change(&mut self, share: f64) -> anyhow::Result<u64> {
        self.changes += 1;
        let mutation = Mutation {
            seed: self.changes,
            share,
            within_days: None,
            kinds: vec![MutationKind::Price, MutationKind::Redact, MutationKind::Extra],
        };
        self.child.send(&Command::Change(mutation)).await?;
        let report: MutationReport = self.child.output().await?;
        Ok(report.chosen - report.unchanged)
    }

    /// Adds messages that are sent but not delivered, and returns their SIDs.
    pub(crate) async fn add(&mut self, messages: u64) -> anyhow::Result<Vec<String>> {
        self.child.send(&Command::Add(messages)).await?;
        self.child.output().await
    }

    /// Delivers messages, which get a price.
    pub(crate) async fn deliver(&mut self, sids: &[String]) -> anyhow::Result<()> {
        self.child.send(&Command::Deliver(sids.to_vec())).await?;
        self.child.output().await
    }

    /// Returns the signatures of forms that are sent to a URL.
    pub(crate) async fn sign(&mut self, url: &str, forms: &[Form]) -> anyhow::Result<Vec<String>> {
        self.child
            .send(&Command::Sign(url.to_owned(), forms.to_vec()))
            .await?;
        self.child.output().await
    }

    /// Returns the process id.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.child.pid()
    }

    /// Stops the simulator.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.child.end().await
    }
}

/// In a child: runs the simulator.
pub(crate) async fn play(mut commands: mpsc::Receiver<String>) -> anyhow::Result<()> {
    let options: SimOptions = child::next(&mut commands).await?;
    let simulator = Simulator::start(SimConfig {
        messages: options.messages,
        history_days: HISTORY_DAYS,
        now: Some(Timestamp::from_micros(options.now).to_chrono()),
        faults: Faults {
            latency_ms: options.latency_ms,
            ..Faults::default()
        },
        ..SimConfig::default()
    })?;
    let known = simulator.credentials();
    child::output(&Access {
        url: simulator.url(),
        account: known.account_sid,
        key: known.standard_key_sid,
        secret: known.standard_key_secret,
        token: known.auth_token,
    })?;
    loop {
        match child::next(&mut commands).await? {
            Command::Change(mutation) => child::output(&simulator.mutate(&mutation))?,
            Command::Add(messages) => {
                let new = NewMessage {
                    status: Some(Status::Sent),
                    ..NewMessage::default()
                };
                let sids: Vec<String> = (0..messages).map(|_| simulator.insert(new.clone())).collect();
                child::output(&sids)?;
            }
            Command::Deliver(sids) => {
                let patch = Patch {
                    status: Some(Status::Delivered),
                    price: Some(Some("-0.00790".to_owned())),
                    ..Patch::default()
                };
                for sid in &sids {
                    simulator.patch(sid, patch.clone());
                }
                child::output(&())?;
            }
            Command::Sign(url, forms) => {
                let signatures: Vec<String> = forms.iter().map(|form| simulator.sign(&url, form)).collect();
                child::output(&signatures)?;
            }
        }
    }
}
