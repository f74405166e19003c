//! What a simulator is started with.

use chrono::{DateTime, Utc};

use crate::faults::Faults;

/// What a Restricted key may be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[expect(missing_docs, reason = "each is the resource of its name")]
pub enum Permission {
    MessagesRead,
    MessagesWrite,
    IncomingPhoneNumbers,
    Usage,
    Balance,
    CallsRead,
    CallsWrite,
    Verify,
    Lookups,
    MessagingServices,
}

/// The size, shape and behaviour of a simulated account.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// The port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// How many messages the main account's history holds.
    pub messages: u64,
    /// Decides every random choice, the credentials included.
    pub seed: u64,
    /// Messages are spread over this many days back from `now`.
    pub history_days: u32,
    /// `None` follows the system's clock; `Some` freezes it, and only [`crate::Simulator::advance`] moves it.
    pub now: Option<DateTime<Utc>>,
    /// Per mille of messages without `date_sent`: scheduled, canceled, failed before sending.
    pub undated_per_mille: u32,
    /// Faults that are on from the start.
    pub faults: Faults,
    /// Server threads.
    pub workers: usize,
    /// How many days back the API answers; an older filter is a 400 and older messages vanish a day later.
    pub retention_days: u32,
    /// What the Restricted key may do.
    pub restricted: Vec<Permission>,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            port: 0,
            messages: 1000,
            seed: 1,
            history_days: 30,
            now: None,
            undated_per_mille: 5,
            faults: Faults::default(),
            workers: 1,
            retention_days: 400,
            restricted: vec![Permission::IncomingPhoneNumbers],
        }
    }
}
