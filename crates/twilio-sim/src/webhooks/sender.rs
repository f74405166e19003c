//! The sender: takes webhooks, draws their faults, and starts those that are due.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::{Notify, oneshot};

use crate::clock::Clock;
use crate::random::draw;
use crate::webhooks::address::Address;
use crate::webhooks::callback::Callback;
use crate::webhooks::client::Clients;
use crate::webhooks::configuration::Configuration;
use crate::webhooks::faults::{Marks, WebhookFaults};
use crate::webhooks::log::{WebhookEntry, WebhookLog, WebhookOutcome};
use crate::webhooks::queue::{Delivery, Queue};

/// A webhook that must not overtake the next one is sent at the latest after this many milliseconds.
const LONGEST_HOLD: i64 = 60_000;

/// What the sender needs to know of the simulator.
#[derive(Debug)]
pub(crate) struct SenderConfig {
    pub(crate) seed: u64,
    pub(crate) clock: Arc<Clock>,
    /// The auth token of each account.
    pub(crate) tokens: HashMap<String, String>,
    /// The account that the webhooks configuration API configures.
    pub(crate) main_account: String,
    /// Requests in flight.
    pub(crate) most_in_flight: usize,
}

/// Sends webhooks in the background.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(super) config: SenderConfig,
    pub(super) clients: Clients,
    pub(super) queue: Mutex<Queue>,
    configuration: Mutex<Configuration>,
    log: Mutex<WebhookLog>,
    /// Public origins, each with the origin that takes its requests.
    routes: RwLock<HashMap<String, String>>,
    wake: Notify,
    numbered: AtomicU64,
}

impl Sender {
    pub(crate) fn new(config: SenderConfig) -> Self {
        Self {
            config,
            clients: Clients::default(),
            queue: Mutex::default(),
            configuration: Mutex::default(),
            log: Mutex::default(),
            routes: RwLock::default(),
            wake: Notify::new(),
            numbered: AtomicU64::new(0),
        }
    }

    /// Takes a webhook. `report` gets its entry of the log at the end.
    pub(crate) fn take(
        &self,
        callback: Callback,
        faults: &WebhookFaults,
        report: Option<oneshot::Sender<WebhookEntry>>,
    ) {
        let number = self.numbered.fetch_add(1, Ordering::SeqCst);
        let callback = Arc::new(callback);
        let marks = Marks::draw(faults, self.config.seed, number, &callback);
        let now = self.config.clock.millis();
        let delivery = |token: String, report| Delivery {
            number,
            callback: Arc::clone(&callback),
            token,
            marks,
            raised: now,
            attempts: Vec::new(),
            report,
        };
        let first = delivery(self.token(number, 1), report);
        let ours = Address::parse(&callback.url).is_some_and(|address| {
            address.host().ends_with(".twilio.com") && self.destination(&address).is_none()
        });
        if marks.lost || ours {
            let outcome = if marks.lost {
                WebhookOutcome::Lost
            } else {
                WebhookOutcome::Dropped
            };
            self.end(first, None, outcome);
            return;
        }
        let second = match (marks.doubled, marks.repeated) {
            (true, _) => Some(delivery(self.token(number, 2), None)),
            (false, true) => Some(delivery(first.token.clone(), None)),
            (false, false) => None,
        };
        for delivery in [Some(first), second].into_iter().flatten() {
            let refused = {
                let mut queue = self.lock_queue();
                if marks.late {
                    let at = now.saturating_add(i64::from(faults.late_seconds) * 1000);
                    queue.push_later(delivery, at)
                } else if marks.out_of_order {
                    queue.hold(delivery, now.saturating_add(LONGEST_HOLD))
                } else {
                    queue.push(delivery)
                }
            };
            if let Some(refused) = refused {
                self.end(refused, None, WebhookOutcome::Dropped);
            }
        }
        self.wake();
    }

    /// Starts the deliveries that are due. Each runs as a task of the current runtime.
    pub(crate) fn start_due(self: &Arc<Self>) {
        let now = self.config.clock.millis();
        loop {
            let next = self.lock_queue().start(now, self.config.most_in_flight);
            let Some(delivery) = next else { return };
            tokio::spawn(Arc::clone(self).deliver(delivery));
        }
    }

    /// Wakes the task that starts deliveries.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until something has changed.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Returns when the next delivery is due that waits for a time, in milliseconds of the simulator's clock.
    pub(crate) fn next_due(&self) -> Option<i64> {
        self.lock_queue().next_due()
    }

    /// Returns whether nothing is to be sent now.
    pub(crate) fn is_idle(&self) -> bool {
        self.lock_queue().is_idle(self.config.clock.millis())
    }

    /// Returns the number of deliveries that wait, and of those in flight.
    pub(crate) fn counts(&self) -> (usize, usize) {
        self.lock_queue().counts()
    }

    pub(crate) fn configuration(&self) -> MutexGuard<'_, Configuration> {
        self.configuration.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, WebhookLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the webhooks for one origin to another one. Origins are `scheme://host[:port]`.
    pub(crate) fn route(&self, public: &str, local: &str) {
        let origin = |text: &str| text.trim_end_matches('/').to_owned();
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        routes.insert(origin(public), origin(local));
    }

    /// Returns the origin that takes the requests for an address, if it is another one.
    pub(crate) fn destination(&self, address: &Address) -> Option<String> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        routes.get(&address.origin()).cloned()
    }

    pub(super) fn lock_queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a UUID for a webhook.
    fn token(&self, number: u64, copy: u64) -> String {
        let high = draw(self.config.seed, number, 0x70C + copy);
        let low = draw(self.config.seed, number, 0x71C + copy);
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xFFFF,
            high & 0xFFF,
            low >> 48 & 0xFFF,
            low & 0xFFFF_FFFF_FFFF
        )
    }
}
