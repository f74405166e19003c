//! The calls that were placed by the API, each with a life by the clock: queued, ringing, in progress, completed.

use crate::mixing::Dice;
use crate::sid::fixed;

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallStatus {
    Queued,
    Ringing,
    InProgress,
    Completed,
    Canceled,
}

impl CallStatus {
    /// The word on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Canceled => "canceled",
        }
    }
}

/// A call; all times in seconds.
#[derive(Debug, Clone)]
pub(crate) struct PlacedCall {
    pub(crate) account: String,
    pub(crate) sid: String,
    pub(crate) to: String,
    pub(crate) from: String,
    pub(crate) created: i64,
    rings: i64,
    answered: i64,
    hangs_up: i64,
    stopped: Option<(i64, CallStatus)>,
}

/// A call at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallStand {
    pub(crate) status: CallStatus,
    pub(crate) started: Option<i64>,
    pub(crate) ended: Option<i64>,
    pub(crate) updated: i64,
}

impl CallStand {
    /// Seconds of talk, once it has ended.
    pub(crate) fn duration(self) -> Option<i64> {
        self.ended
            .map(|ended| self.started.map_or(0, |started| ended - started))
    }
}

impl PlacedCall {
    pub(crate) fn new(seed: u64, number: u64, account: &str, to: &str, from: &str, now: i64) -> Self {
        let mut dice = Dice::new(seed, number, 0xCA11);
        let rings = now + dice.seconds(1, 3);
        let answered = rings + dice.seconds(3, 12);
        Self {
            account: account.to_owned(),
            sid: fixed("CA", seed, 1_000_000 + number),
            to: to.to_owned(),
            from: from.to_owned(),
            created: now,
            rings,
            answered,
            hangs_up: answered + dice.seconds(15, 180),
            stopped: None,
        }
    }

    pub(crate) fn at(&self, now: i64) -> CallStand {
        let until = self.stopped.map_or(now, |(at, _)| at);
        let started = (until >= self.answered).then_some(self.answered);
        let (status, ended, updated) = match self.stopped {
            Some((at, status)) => (status, Some(at), at),
            None if now >= self.hangs_up => (CallStatus::Completed, Some(self.hangs_up), self.hangs_up),
            None if now >= self.answered => (CallStatus::InProgress, None, self.answered),
            None if now >= self.rings => (CallStatus::Ringing, None, self.rings),
            None => (CallStatus::Queued, None, self.created),
        };
        CallStand {
            status,
            started,
            ended,
            updated,
        }
    }

    /// Ends the call. Canceling one that is in progress changes nothing, as Twilio documents.
    pub(crate) fn stop(&mut self, wanted: CallStatus, now: i64) {
        let in_progress = self.at(now).status == CallStatus::InProgress;
        if wanted == CallStatus::Completed || !in_progress {
            self.stopped = Some((now, wanted));
        }
    }
}
