//! The simulated provider in its own process.

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use twilio_sim::{Faults, Mutation, MutationKind, MutationReport, SimConfig, Simulator};

use crate::child::{self, Child, Kind};

/// A few days less than the retention, so that no message expires during a measurement.
const HISTORY_DAYS: u32 = 395;

#[derive(Serialize, Deserialize)]
struct SimOptions {
    messages: u64,
    latency_ms: u64,
    now: i64,
}

/// The simulator's address and credentials.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Access {
    pub(crate) url: String,
    pub(crate) account: String,
    pub(crate) key: String,
    pub(crate) secret: String,
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
        self.child.send(&mutation).await?;
        let report: MutationReport = self.child.output().await?;
        Ok(report.chosen - report.unchanged)
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
    })?;
    loop {
        let mutation: Mutation = child::next(&mut commands).await?;
        child::output(&simulator.mutate(&mutation))?;
    }
}
