//! The lifecycle of one message by the clock: queued, sending, sent, settled, read, priced.

use crate::message::{Direction, Status};
use crate::random::Rng;

const MINUTE: u32 = 60;
const HOUR: u32 = 3600;
const DAYS: u32 = 86_400;

/// Delivery errors with Twilio's messages.
const ERRORS: [(i64, &str); 9] = [
    (30003, "Unreachable destination handset"),
    (30004, "Message blocked"),
    (30005, "Unknown destination handset"),
    (30006, "Landline or unreachable carrier"),
    (30007, "Message filtered"),
    (30008, "Unknown error"),
    (30032, "Toll-Free Number Has Not Been Verified"),
    (30034, "US A2P 10DLC - Message from an Unregistered Number"),
    (
        63016,
        "Failed to send freeform message because you are outside the allowed window.",
    ),
];

/// Errors of messages that were never sent.
const ERRORS_BEFORE_SENDING: [i64; 3] = [30001, 30002, 21610];

/// Returns Twilio's message of a delivery error.
pub(crate) fn error_message(code: i64) -> Option<&'static str> {
    match code {
        30001 => Some("Queue overflow"),
        30002 => Some("Account suspended"),
        21610 => Some("Attempt to send to unsubscribed recipient"),
        _ => ERRORS
            .iter()
            .find_map(|(known, words)| (*known == code).then_some(*words)),
    }
}

/// The properties of a message that affect its lifecycle.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traits {
    pub(crate) direction: Direction,
    pub(crate) whatsapp: bool,
    pub(crate) service: bool,
    pub(crate) segments: u32,
    pub(crate) media: u32,
}

/// The times at which a message's state changes, in seconds since 1970.
#[derive(Debug, Clone)]
pub(crate) struct Lifecycle {
    created: i64,
    /// When sending starts: the creation or the scheduled time.
    begin: i64,
    sending: i64,
    pub(crate) sent: i64,
    /// The future `date_sent`.
    pub(crate) stamp: i64,
    opening: Status,
    never_sent: Option<(Status, Option<i64>)>,
    settled: Option<(i64, Status, Option<i64>)>,
    read: Option<i64>,
    priced: Option<(i64, u32)>,
}

/// The state of a message at one time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct State {
    pub(crate) status: Status,
    pub(crate) sent: Option<i64>,
    pub(crate) updated: i64,
    pub(crate) error: Option<i64>,
    /// In hundred-thousandths of the currency unit.
    pub(crate) price: Option<u32>,
    /// Whether a Messaging Service has selected a sender.
    pub(crate) picked: bool,
}

impl Lifecycle {
    /// Creates the lifecycle of a message that is never sent.
    pub(crate) fn never_sent(rng: &mut Rng, created: i64) -> Self {
        let status = match rng.below(100) {
            0..40 => (Status::Canceled, None),
            40..84 => (Status::Failed, rng.pick(&ERRORS_BEFORE_SENDING).copied()),
            84..92 => (Status::Accepted, None),
            92..97 => (Status::Queued, None),
            _ => (Status::Sending, None),
        };
        Self {
            created,
            begin: created,
            sending: i64::MAX,
            sent: i64::MAX,
            stamp: created,
            opening: Status::Accepted,
            never_sent: Some(status),
            settled: None,
            read: None,
            priced: None,
        }
    }

    /// Creates the lifecycle of a message that is sent at `begin`. `stamp` fixes its `date_sent`, which is otherwise the time of sending.
    pub(crate) fn new(rng: &mut Rng, traits: Traits, created: i64, begin: i64, stamp: Option<i64>) -> Self {
        if traits.direction == Direction::Inbound {
            return Self::inbound(rng, traits, created, begin);
        }
        let sending = begin + rng.seconds(1, 3);
        let sent = sending + rng.seconds(1, 4);
        let error = || ERRORS.first().map(|(code, _)| *code);
        let failure = rng
            .pick(&ERRORS)
            .map(|(code, _)| *code)
            .filter(|code| *code != 63016 || traits.whatsapp)
            .or_else(error);
        let delay = match rng.below(1000) {
            0..880 => rng.seconds(1, 45),
            880..965 => rng.seconds(MINUTE, 15 * MINUTE),
            965..985 => rng.seconds(HOUR, 3 * HOUR),
            _ => rng.seconds(DAYS, 4 * DAYS),
        };
        let settled = match rng.below(1000) {
            0..905 => Some((Status::Delivered, None)),
            905..950 => Some((Status::Undelivered, failure)),
            950..972 => Some((Status::Failed, failure)),
            972..975 => Some((Status::PartiallyDelivered, failure)),
            // The carrier never sends a report.
            _ => None,
        };
        let settled = settled.map(|(status, error)| (sent + delay, status, error));
        let delivered = settled.filter(|(_, status, _)| *status == Status::Delivered);
        let read_delay = if rng.per_mille(500) {
            rng.seconds(5, 2 * HOUR)
        } else {
            rng.seconds(DAYS, 7 * DAYS)
        };
        let read = delivered
            .filter(|_| traits.whatsapp && rng.per_mille(650))
            .map(|(at, ..)| at + read_delay);
        Self {
            created,
            begin,
            sending,
            sent,
            stamp: stamp.unwrap_or(sent),
            opening: if traits.service {
                Status::Accepted
            } else {
                Status::Queued
            },
            never_sent: None,
            settled,
            read,
            priced: price(rng, traits, sent),
        }
    }

    fn inbound(rng: &mut Rng, traits: Traits, created: i64, begin: i64) -> Self {
        let stuck = rng.per_mille(2);
        let received = begin + rng.seconds(0, if traits.media > 0 { 4 } else { 1 });
        Self {
            created,
            begin,
            sending: begin,
            sent: begin,
            stamp: begin,
            opening: Status::Receiving,
            never_sent: None,
            settled: (!stuck).then_some((received, Status::Received, None)),
            read: None,
            priced: price(rng, traits, begin),
        }
    }

    /// Returns whether the message is scheduled for a later time.
    pub(crate) fn is_scheduled(&self) -> bool {
        self.begin > self.created
            && self.stamp > self.created
            && self.never_sent.is_none()
            && self.opening != Status::Receiving
    }

    /// Returns the times at which the status changes after the creation, in order.
    pub(crate) fn changes(&self) -> Vec<i64> {
        if self.never_sent.is_some() {
            return Vec::new();
        }
        let times = [
            Some(self.begin),
            Some(self.sending),
            Some(self.sent),
            self.settled.map(|(at, ..)| at),
            self.read,
        ];
        let mut times: Vec<i64> = times.into_iter().flatten().collect();
        times.sort_unstable();
        times.dedup();
        times
    }

    pub(crate) fn at(&self, now: i64) -> State {
        let mut state = State {
            status: self.opening,
            sent: None,
            updated: self.created,
            error: None,
            price: None,
            picked: true,
        };
        if let Some((status, error)) = self.never_sent {
            let reached = matches!(status, Status::Failed | Status::Canceled);
            state = State {
                status,
                error,
                picked: reached && status == Status::Failed,
                ..state
            };
            return state;
        }
        if now < self.begin {
            return State {
                status: Status::Scheduled,
                picked: false,
                ..state
            };
        }
        let mut reach = |at: i64, status: Status| {
            let reached = now >= at;
            if reached {
                state.status = status;
                state.updated = state.updated.max(at);
            }
            reached
        };
        if self.opening == Status::Receiving {
            state.sent = Some(self.stamp);
        } else {
            let sending = reach(self.sending, Status::Sending);
            let sent = reach(self.sent, Status::Sent);
            state.picked = sending || self.opening != Status::Accepted;
            state.sent = sent.then_some(self.stamp);
        }
        if let Some((at, status, error)) = self.settled
            && now >= at
        {
            state.status = status;
            state.error = error;
            state.updated = state.updated.max(at);
        }
        if let Some(at) = self.read.filter(|at| now >= *at) {
            state.status = Status::Read;
            state.updated = state.updated.max(at);
        }
        if let Some((at, units)) = self.priced.filter(|(at, _)| now >= *at) {
            state.price = Some(units);
            state.updated = state.updated.max(at);
        }
        state
    }
}

/// Returns the time and amount of the price: minutes to hours after sending, and never for some messages.
fn price(rng: &mut Rng, traits: Traits, sent: i64) -> Option<(i64, u32)> {
    let delay = if rng.per_mille(800) {
        rng.seconds(2 * MINUTE, HOUR)
    } else {
        rng.seconds(HOUR, 8 * HOUR)
    };
    let each = match rng.below(4) {
        _ if traits.media > 0 => 2000,
        _ if traits.whatsapp => 500,
        0 => 750,
        1 => 790,
        2 => 830,
        _ => 5800,
    };
    let count = if traits.media > 0 {
        1
    } else {
        traits.segments.max(1)
    };
    (!rng.per_mille(25)).then_some((sent + delay, each * count))
}
