//! The settings of a worker.

use std::time::Duration;

/// The settings of a worker.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// How many syncs run at once.
    pub concurrency: usize,
    /// How many actions run at once.
    pub actions: usize,
    /// How many webhook endpoints get deliveries at once.
    pub endpoints: usize,
    /// For how many connections events of providers are processed at once.
    pub incoming: usize,
    /// How long a lease lasts. If its holder does not renew it in time, another worker claims the work.
    pub lease: Duration,
    /// How often the worker looks for work that other processes made due.
    pub poll: Duration,
    /// How long runs may take to stop between two pages at shutdown.
    pub drain: Duration,
    /// How long finished runs are kept. The last hundred of each sync are always kept.
    pub keep_runs: Duration,
    /// How long events and their deliveries are kept.
    pub keep_events: Duration,
    /// How much of one list a run reads.
    pub lists: ListBounds,
}

/// The limits on one list in one run, for lists that never end.
#[derive(Debug, Clone, Copy)]
pub struct ListBounds {
    /// The most pages. Where a position in the list can be stored, later runs read what follows.
    pub pages: u64,
    /// The most pages without records in a row.
    pub empty_pages: u64,
}

impl Default for ListBounds {
    /// Half a million pages (six a second for a day), a thousand empty pages in a row.
    fn default() -> Self {
        Self {
            pages: 500_000,
            empty_pages: 1_000,
        }
    }
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            concurrency: 16,
            actions: 32,
            endpoints: 64,
            incoming: 16,
            lease: Duration::from_mins(1),
            poll: Duration::from_secs(1),
            drain: Duration::from_secs(20),
            keep_runs: Duration::from_hours(30 * 24),
            keep_events: Duration::from_hours(30 * 24),
            lists: ListBounds::default(),
        }
    }
}

/// How many of a sync's newest runs are kept, whatever they did.
pub(crate) const KEEP_RUNS: i64 = 100;
