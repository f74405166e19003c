//! The configuration of a simulator.

use chrono::{DateTime, Utc};

use crate::faults::Faults;

/// A permission of a Restricted key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[expect(missing_docs, reason = "each is named after its resource")]
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
    Events,
    Conversations,
    Webhooks,
}

/// The size, shape and behaviour of a simulated account.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// The port on 127.0.0.1; 0 selects a free one.
    pub port: u16,
    /// The number of messages in the main account's history.
    pub messages: u64,
    /// The seed of every random choice, including the credentials.
    pub seed: u64,
    /// Messages are spread over this many days back from `now`.
    pub history_days: u32,
    /// `None` follows the system's clock; `Some` freezes it, and only [`crate::Simulator::advance`] moves it.
    pub now: Option<DateTime<Utc>>,
    /// Messages without `date_sent`, per thousand: scheduled, canceled, failed before sending.
    pub undated_per_mille: u32,
    /// The initial faults.
    pub faults: Faults,
    /// Server threads.
    pub workers: usize,
    /// The number of days that the API serves. An older filter is a 400, and older messages disappear a day later.
    pub retention_days: u32,
    /// The permissions of the Restricted key.
    pub restricted: Vec<Permission>,
    /// Accept webhook URLs with local addresses, which Twilio refuses.
    pub local_webhooks: bool,
    /// Webhooks in flight; more wait.
    pub webhooks_in_flight: usize,
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
            local_webhooks: false,
            webhooks_in_flight: 64,
        }
    }
}
