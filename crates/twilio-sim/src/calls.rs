//! Calls placed through the API. Their status follows the clock: queued, ringing, in progress, completed.

use crate::random::Rng;
use crate::sid::fixed;

/// The status of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallStatus {
    Queued,
    Ringing,
    InProgress,
    Completed,
    Canceled,
}

impl CallStatus {
    /// Returns the value in the API.
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

/// A call. All times are in seconds.
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

/// The state of a call at one time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallState {
    pub(crate) status: CallStatus,
    pub(crate) started: Option<i64>,
    pub(crate) ended: Option<i64>,
    pub(crate) updated: i64,
}

impl CallState {
    /// Returns the seconds of talk, once the call has ended.
    pub(crate) fn duration(self) -> Option<i64> {
        self.ended
            .map(|ended| self.started.map_or(0, |started| ended - started))
    }
}

impl PlacedCall {
    pub(crate) fn new(seed: u64, number: u64, account: &str, to: &str, from: &str, now: i64) -> Self {
        let mut rng = Rng::new(seed, number, 0xCA11);
        let rings = now + rng.seconds(1, 3);
        let answered = rings + rng.seconds(3, 12);
        Self {
            account: account.to_owned(),
            sid: fixed("CA", seed, 1_000_000 + number),
            to: to.to_owned(),
            from: from.to_owned(),
            created: now,
            rings,
            answered,
            hangs_up: answered + rng.seconds(15, 180),
            stopped: None,
        }
    }

    pub(crate) fn at(&self, now: i64) -> CallState {
        let until = self.stopped.map_or(now, |(at, _)| at);
        let started = (until >= self.answered).then_some(self.answered);
        let (status, ended, updated) = match self.stopped {
            Some((at, status)) => (status, Some(at), at),
            None if now >= self.hangs_up => (CallStatus::Completed, Some(self.hangs_up), self.hangs_up),
            None if now >= self.answered => (CallStatus::InProgress, None, self.answered),
            None if now >= self.rings => (CallStatus::Ringing, None, self.rings),
            None => (CallStatus::Queued, None, self.created),
        };
        CallState {
            status,
            started,
            ended,
            updated,
        }
    }

    /// Ends the call. Canceling a call in progress has no effect, as Twilio documents.
    pub(crate) fn stop(&mut self, wanted: CallStatus, now: i64) {
        let in_progress = self.at(now).status == CallStatus::InProgress;
        if wanted == CallStatus::Completed || !in_progress {
            self.stopped = Some((now, wanted));
        }
    }
}
