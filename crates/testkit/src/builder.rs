//! What the app of a test is to be like.

use std::time::Duration;

use domain::{Clock, Timestamp};
use registry::Registry;
use store::testing::TestDatabase;
use twilio_sim::SimConfig;
use upstream::UpstreamOptions;

/// When tests begin by the clock in hand: a Wednesday, at noon.
const START: i64 = 1_793_793_600 * Timestamp::SECOND;

/// What an app is to be like.
#[derive(Debug)]
pub struct AppBuilder {
    pub(crate) sim: SimConfig,
    pub(crate) upstream: UpstreamOptions,
    pub(crate) registry: Option<Registry>,
    pub(crate) clock: Clock,
    pub(crate) database: Option<TestDatabase>,
}

impl Default for AppBuilder {
    fn default() -> Self {
        let start = Timestamp::from_micros(START).to_chrono();
        let sim = SimConfig {
            now: Some(start),
            messages: 300,
            ..SimConfig::default()
        };
        // Waits are short, so that faults do not make tests slow; they are still waits.
        let upstream = UpstreamOptions {
            base_backoff: Duration::from_millis(5),
            max_backoff: Duration::from_millis(50),
            deadline: Duration::from_secs(30),
            ..UpstreamOptions::default()
        };
        Self {
            sim,
            upstream,
            registry: None,
            clock: Clock::manual(Timestamp::from_micros(START)),
            database: None,
        }
    }
}

impl AppBuilder {
    /// Changes the simulator.
    #[must_use]
    pub fn simulator(mut self, change: impl FnOnce(&mut SimConfig)) -> Self {
        change(&mut self.sim);
        self
    }

    /// Changes how calls are made. A base URL for `twilio` replaces the simulator's.
    #[must_use]
    pub fn upstream(mut self, change: impl FnOnce(&mut UpstreamOptions)) -> Self {
        change(&mut self.upstream);
        self
    }

    /// Other providers than the built-in ones.
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// The built-in providers, of which Twilio's file is changed.
    ///
    /// # Panics
    /// If the file is wrong then.
    #[must_use]
    pub fn twilio_file(self, change: impl FnOnce(&str) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = change(include_str!("../../../integrations/twilio.yaml"));
        std::fs::write(folder.path().join("twilio.yaml"), text).expect("the file can be written");
        self.registry(Registry::load(Some(folder.path())).expect("the changed file is right"))
    }

    /// The system's clock, for tests with processes of their own; the simulator stands still at its now.
    #[must_use]
    pub fn system_clock(mut self) -> Self {
        self.clock = Clock::system();
        self.sim.now = Some(self.clock.now().to_chrono());
        self
    }

    /// A database of its own server, say; otherwise a new one is made.
    #[must_use]
    pub fn database(mut self, database: TestDatabase) -> Self {
        self.database = Some(database);
        self
    }
}
