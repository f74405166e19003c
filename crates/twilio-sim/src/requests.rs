//! The log of requests to the Twilio API, for assertions. It never contains credentials, because these are in a header.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

const KEPT: usize = 10_000;

/// A request and its status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestEntry {
    /// `GET`, `POST`, `DELETE`.
    pub method: String,
    /// Path and query as received.
    pub path: String,
    /// The status of the response, also if the connection was closed in the body.
    pub status: u16,
    /// The name of the fault that affected the response.
    pub fault: Option<String>,
}

/// The requests since the start or the last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestLog {
    /// The number of requests.
    pub total: u64,
    /// Requests by status.
    pub by_status: BTreeMap<u16, u64>,
    /// The highest number of requests in flight.
    pub max_concurrency: u32,
    /// The last 10,000 requests, oldest first.
    pub entries: VecDeque<RequestEntry>,
}

impl RequestLog {
    pub(crate) fn record(&mut self, entry: RequestEntry) {
        self.total += 1;
        *self.by_status.entry(entry.status).or_default() += 1;
        if self.entries.len() >= KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }
}
