//! The life of one message by the clock: queued, sending, sent, settled, read, priced.

use crate::message::{Direction, Status};
use crate::mixing::Dice;

const MINUTE: u32 = 60;
const HOUR: u32 = 3600;
const DAYS: u32 = 86_400;

/// Delivery errors with Twilio's words for them.
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

/// Errors of messages that never left.
const ERRORS_BEFORE_SENDING: [i64; 3] = [30001, 30002, 21610];

/// Twilio's words for a delivery error.
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

/// What a course is drawn for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traits {
    pub(crate) direction: Direction,
    pub(crate) whatsapp: bool,
    pub(crate) service: bool,
    pub(crate) segments: u32,
    pub(crate) media: u32,
}

/// The turning points of a message's life, in absolute seconds.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    created: i64,
    /// When sending starts: the creation, or the time it was scheduled for.
    begin: i64,
    sending: i64,
    pub(crate) sent: i64,
    /// What `date_sent` will say.
    pub(crate) stamp: i64,
    opening: Status,
    dead_end: Option<(Status, Option<i64>)>,
    settled: Option<(i64, Status, Option<i64>)>,
    read: Option<i64>,
    priced: Option<(i64, u32)>,
}

/// Where a message stands at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stand {
    pub(crate) status: Status,
    pub(crate) sent: Option<i64>,
    pub(crate) updated: i64,
    pub(crate) error: Option<i64>,
    /// In hundred-thousandths of the unit.
    pub(crate) price: Option<u32>,
    /// Whether a Messaging Service has picked a sender.
    pub(crate) picked: bool,
}

impl Course {
    /// A message that never leaves.
    pub(crate) fn dead_end(dice: &mut Dice, created: i64) -> Self {
        let status = match dice.below(100) {
            0..40 => (Status::Canceled, None),
            40..84 => (Status::Failed, dice.pick(&ERRORS_BEFORE_SENDING).copied()),
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
            dead_end: Some(status),
            settled: None,
            read: None,
            priced: None,
        }
    }

    /// A message that leaves at `begin`; `stamp` fixes its `date_sent`, which otherwise is the second of leaving.
    pub(crate) fn travel(
        dice: &mut Dice,
        traits: Traits,
        created: i64,
        begin: i64,
        stamp: Option<i64>,
    ) -> Self {
        if traits.direction == Direction::Inbound {
            return Self::arrival(dice, traits, created, begin);
        }
        let sending = begin + dice.seconds(1, 3);
        let sent = sending + dice.seconds(1, 4);
        let error = || ERRORS.first().map(|(code, _)| *code);
        let failure = dice
            .pick(&ERRORS)
            .map(|(code, _)| *code)
            .filter(|code| *code != 63016 || traits.whatsapp)
            .or_else(error);
        let delay = match dice.below(1000) {
            0..880 => dice.seconds(1, 45),
            880..965 => dice.seconds(MINUTE, 15 * MINUTE),
            965..985 => dice.seconds(HOUR, 3 * HOUR),
            _ => dice.seconds(DAYS, 4 * DAYS),
        };
        let settled = match dice.below(1000) {
            0..905 => Some((Status::Delivered, None)),
            905..950 => Some((Status::Undelivered, failure)),
            950..972 => Some((Status::Failed, failure)),
            972..975 => Some((Status::PartiallyDelivered, failure)),
            // The carrier never reports.
            _ => None,
        };
        let settled = settled.map(|(status, error)| (sent + delay, status, error));
        let delivered = settled.filter(|(_, status, _)| *status == Status::Delivered);
        let read_delay = if dice.per_mille(500) {
            dice.seconds(5, 2 * HOUR)
        } else {
            dice.seconds(DAYS, 7 * DAYS)
        };
        let read = delivered
            .filter(|_| traits.whatsapp && dice.per_mille(650))
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
            dead_end: None,
            settled,
            read,
            priced: price(dice, traits, sent),
        }
    }

    fn arrival(dice: &mut Dice, traits: Traits, created: i64, begin: i64) -> Self {
        let stuck = dice.per_mille(2);
        let received = begin + dice.seconds(0, if traits.media > 0 { 4 } else { 1 });
        Self {
            created,
            begin,
            sending: begin,
            sent: begin,
            stamp: begin,
            opening: Status::Receiving,
            dead_end: None,
            settled: (!stuck).then_some((received, Status::Received, None)),
            read: None,
            priced: price(dice, traits, begin),
        }
    }

    /// Whether the message still waits for a later time at `now`.
    pub(crate) fn is_scheduled(&self) -> bool {
        self.begin > self.created
            && self.stamp > self.created
            && self.dead_end.is_none()
            && self.opening != Status::Receiving
    }

    pub(crate) fn at(&self, now: i64) -> Stand {
        let mut stand = Stand {
            status: self.opening,
            sent: None,
            updated: self.created,
            error: None,
            price: None,
            picked: true,
        };
        if let Some((status, error)) = self.dead_end {
            let reached = matches!(status, Status::Failed | Status::Canceled);
            stand = Stand {
                status,
                error,
                picked: reached && status == Status::Failed,
                ..stand
            };
            return stand;
        }
        if now < self.begin {
            return Stand {
                status: Status::Scheduled,
                picked: false,
                ..stand
            };
        }
        let mut reach = |at: i64, status: Status| {
            let reached = now >= at;
            if reached {
                stand.status = status;
                stand.updated = stand.updated.max(at);
            }
            reached
        };
        if self.opening == Status::Receiving {
            stand.sent = Some(self.stamp);
        } else {
            let sending = reach(self.sending, Status::Sending);
            let sent = reach(self.sent, Status::Sent);
            stand.picked = sending || self.opening != Status::Accepted;
            stand.sent = sent.then_some(self.stamp);
        }
        if let Some((at, status, error)) = self.settled
            && now >= at
        {
            stand.status = status;
            stand.error = error;
            stand.updated = stand.updated.max(at);
        }
        if let Some(at) = self.read.filter(|at| now >= *at) {
            stand.status = Status::Read;
            stand.updated = stand.updated.max(at);
        }
        if let Some((at, units)) = self.priced.filter(|(at, _)| now >= *at) {
            stand.price = Some(units);
            stand.updated = stand.updated.max(at);
        }
        stand
    }
}

/// Minutes to hours after sending; for some never.
fn price(dice: &mut Dice, traits: Traits, sent: i64) -> Option<(i64, u32)> {
    let delay = if dice.per_mille(800) {
        dice.seconds(2 * MINUTE, HOUR)
    } else {
        dice.seconds(HOUR, 8 * HOUR)
    };
    let each = match dice.below(4) {
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
    (!dice.per_mille(25)).then_some((sent + delay, each * count))
}
