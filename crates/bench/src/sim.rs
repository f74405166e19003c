//! The simulated provider, in a process of its own.

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use twilio_sim::{Faults, Mutation, MutationKind, MutationReport, SimConfig, Simulator};

use crate::child::{self, Child, Kind};

/// A few days less than what is kept, so that nothing leaves the range while it is measured.
const HISTORY_DAYS: u32 = 395;

#[derive(Serialize, Deserialize)]
struct Order {
    messages: u64,
    latency_ms: u64,
    now: i64,
}

/// Where the simulator is, and what opens it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Access {
    pub(crate) url: String,
    pub(crate) account: String,
    pub(crate) key: String,
    pub(crate) secret: String,
}

/// A simulator that runs.
pub(crate) struct Sim {
    child: Child,
    /// How often messages were changed: each time it is others, for a message that is emptied twice differs once.
    changes: u64,
    /// Where it is.
    pub(crate) access: Access,
}

impl Sim {
    /// Starts one. Its clock stands at `now`: a message changes only if it is told to.
    pub(crate) async fn start(messages: u64, latency_ms: u64, now: Timestamp) -> anyhow::Result<Self> {
        let order = Order {
            messages,
            latency_ms,
            now: now.as_micros(),
        };
        let mut child = Child::start(Kind::Sim, &order).await?;
        let access = child.answer().await?;
        Ok(Self {
            child,
            changes: 0,
            access,
        })
    }

    /// Changes a share of the messages, each so that its record differs; gives how many.
    pub(crate) async fn change(&mut self, share: f64) -> anyhow::Result<u64> {
        self.changes += 1;
        let mutation = Mutation {
            seed: self.changes,
            share,
            within_days: None,
            kinds: vec![MutationKind::Price, MutationKind::Redact, MutationKind::Extra],
        };
        self.child.tell(&mutation).await?;
        let report: MutationReport = self.child.answer().await?;
        Ok(report.chosen - report.unchanged)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.child.pid()
    }

    /// Ends it.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.child.end().await
    }
}

/// The child's side.
pub(crate) async fn play(mut orders: mpsc::Receiver<String>) -> anyhow::Result<()> {
    let order: Order = child::next(&mut orders).await?;
    let simulator = Simulator::start(SimConfig {
        messages: order.messages,
        history_days: HISTORY_DAYS,
        now: Some(Timestamp::from_micros(order.now).to_chrono()),
        faults: Faults {
            latency_ms: order.latency_ms,
            ..Faults::default()
        },
        ..SimConfig::default()
    })?;
    let known = simulator.credentials();
    child::answer(&Access {
        url: simulator.url(),
        account: known.account_sid,
        key: known.standard_key_sid,
        secret: known.standard_key_secret,
    })?;
    loop {
        let mutation: Mutation = child::next(&mut orders).await?;
        child::answer(&simulator.mutate(&mutation))?;
    }
}
