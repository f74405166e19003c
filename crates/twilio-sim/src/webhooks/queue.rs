//! The queue of webhooks: those that may be sent, those that are due later, and those that wait for an earlier one of their subject.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::webhooks::callback::Callback;
use crate::webhooks::faults::Marks;
use crate::webhooks::log::{WebhookAttempt, WebhookEntry};

/// Webhooks that may wait. More are dropped, so that a dead receiver cannot fill the memory.
const MOST_WAITING: usize = 200_000;

/// A webhook on its way to the receiver.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) number: u64,
    pub(crate) callback: Arc<Callback>,
    /// The idempotency token; the same for every attempt.
    pub(crate) token: String,
    pub(crate) marks: Marks,
    /// When it came up, in milliseconds of the simulator's clock.
    pub(crate) raised: i64,
    pub(crate) attempts: Vec<WebhookAttempt>,
    /// Gets the entry of the log at the end.
    pub(crate) report: Option<oneshot::Sender<WebhookEntry>>,
}

impl Delivery {
    fn chain(&self) -> Option<&str> {
        self.callback.ordered.then_some(self.callback.subject.as_str())
    }
}

/// The deliveries that have not ended. All times are in milliseconds of the simulator's clock.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    ready: VecDeque<Delivery>,
    later: BTreeMap<(i64, u64), Delivery>,
    /// For each subject with a delivery in flight, those that wait for it.
    chains: HashMap<String, VecDeque<Delivery>>,
    /// For each subject, the position in `later` of a delivery that must not go first.
    held: HashMap<String, (i64, u64)>,
    chained: usize,
    in_flight: usize,
    positions: u64,
}

impl Queue {
    /// Adds a delivery that may be sent now. Returns it if the queue is full.
    #[must_use]
    pub(crate) fn push(&mut self, delivery: Delivery) -> Option<Delivery> {
        if self.is_full() {
            return Some(delivery);
        }
        let overtaken = delivery
            .chain()
            .and_then(|chain| self.held.remove(chain))
            .and_then(|position| self.later.remove(&position));
        self.ready.push_back(delivery);
        self.ready.extend(overtaken);
        None
    }

    /// Adds a delivery that is due at `at`. Returns it if the queue is full.
    #[must_use]
    pub(crate) fn push_later(&mut self, delivery: Delivery, at: i64) -> Option<Delivery> {
        if self.is_full() {
            return Some(delivery);
        }
        self.positions += 1;
        self.later.insert((at, self.positions), delivery);
        None
    }

    /// Adds a delivery that is due after the next one of its subject, and at `at` if there is none.
    #[must_use]
    pub(crate) fn hold(&mut self, delivery: Delivery, at: i64) -> Option<Delivery> {
        let chain = delivery.chain().map(str::to_owned);
        let Some(chain) = chain.filter(|chain| !self.held.contains_key(chain)) else {
            return self.push(delivery);
        };
        let refused = self.push_later(delivery, at);
        if refused.is_none() {
            self.held.insert(chain, (at, self.positions));
        }
        refused
    }

    /// Returns the next delivery that may be sent, and counts it as in flight until [`Self::finish`].
    pub(crate) fn start(&mut self, now: i64, most_in_flight: usize) -> Option<Delivery> {
        while let Some(due) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            let (position, delivery) = due.remove_entry();
            if let Some(chain) = delivery.chain()
                && self.held.get(chain) == Some(&position)
            {
                self.held.remove(chain);
            }
            self.ready.push_back(delivery);
        }
        while self.in_flight < most_in_flight {
            let delivery = self.ready.pop_front()?;
            if let Some(chain) = delivery.chain() {
                if let Some(waiting) = self.chains.get_mut(chain) {
                    waiting.push_back(delivery);
                    self.chained += 1;
                    continue;
                }
                self.chains.insert(chain.to_owned(), VecDeque::new());
            }
            self.in_flight += 1;
            return Some(delivery);
        }
        None
    }

    /// Ends a delivery that [`Self::start`] returned.
    pub(crate) fn finish(&mut self, callback: &Callback) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if callback.ordered
            && let Some(waiting) = self.chains.remove(&callback.subject)
        {
            self.chained -= waiting.len();
            for delivery in waiting.into_iter().rev() {
                self.ready.push_front(delivery);
            }
        }
    }

    /// Returns when the next delivery is due that waits for a time.
    pub(crate) fn next_due(&self) -> Option<i64> {
        self.later.keys().next().map(|(at, _)| *at)
    }

    /// Returns whether nothing is to be sent at `now`.
    pub(crate) fn is_idle(&self, now: i64) -> bool {
        self.in_flight == 0
            && self.ready.is_empty()
            && self.chained == 0
            && self.next_due().is_none_or(|at| at > now)
    }

    /// Returns the number of deliveries that wait, and of those in flight.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.waiting(), self.in_flight)
    }

    fn waiting(&self) -> usize {
        self.ready.len() + self.later.len() + self.chained
    }

    fn is_full(&self) -> bool {
        self.waiting() >= MOST_WAITING
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhooks::callback::WebhookKind;

    fn delivery(number: u64, subject: &str) -> Delivery {
        let callback = Callback::form(WebhookKind::Custom, "AC", subject, "", "http://a", Vec::new());
        Delivery {
            number,
            callback: Arc::new(callback),
            token: String::new(),
            marks: Marks::default(),
            raised: 0,
            attempts: Vec::new(),
            report: None,
        }
    }

    fn started(queue: &mut Queue, now: i64) -> Vec<u64> {
        std::iter::from_fn(|| queue.start(now, 10))
            .map(|delivery| delivery.number)
            .collect()
    }

    #[test]
    fn a_subject_has_one_delivery_in_flight_and_the_others_wait_in_order() {
        let mut queue = Queue::default();
        for (number, subject) in [(0, "SM1"), (1, "SM1"), (2, "SM2"), (3, "SM1")] {
            assert!(queue.push(delivery(number, subject)).is_none());
        }
        assert_eq!(started(&mut queue, 0), [0, 2]);
        assert_eq!(queue.counts(), (2, 2));
        queue.finish(&delivery(0, "SM1").callback);
        assert_eq!(started(&mut queue, 0), [1]);
        queue.finish(&delivery(2, "SM2").callback);
        queue.finish(&delivery(1, "SM1").callback);
        assert!(!queue.is_idle(0));
        assert_eq!(started(&mut queue, 0), [3]);
        queue.finish(&delivery(3, "SM1").callback);
        assert!(queue.is_idle(0));
    }

    #[test]
    fn only_so_many_are_in_flight() {
        let mut queue = Queue::default();
        for (number, subject) in [(0, "SM1"), (1, "SM2"), (2, "SM3")] {
            assert!(queue.push(delivery(number, subject)).is_none());
        }
        assert!(queue.start(0, 2).is_some() && queue.start(0, 2).is_some());
        assert!(queue.start(0, 2).is_none());
    }

    #[test]
    fn a_held_delivery_goes_after_the_next_one_or_at_its_time() {
        let mut queue = Queue::default();
        assert!(queue.hold(delivery(0, "SM1"), 60).is_none());
        assert!(queue.hold(delivery(1, "SM2"), 60).is_none());
        assert!(started(&mut queue, 0).is_empty());
        assert!(queue.push(delivery(2, "SM1")).is_none());
        assert_eq!(started(&mut queue, 0), [2]);
        queue.finish(&delivery(2, "SM1").callback);
        assert_eq!(started(&mut queue, 0), [0]);
        assert_eq!((queue.next_due(), started(&mut queue, 60)), (Some(60), vec![1]));
    }

    #[test]
    fn a_later_delivery_waits_for_its_time() {
        let mut queue = Queue::default();
        assert!(queue.push_later(delivery(0, "SM1"), 5).is_none());
        assert!(queue.is_idle(4) && !queue.is_idle(5));
        assert!(started(&mut queue, 4).is_empty());
        assert_eq!(started(&mut queue, 5), [0]);
    }
}
