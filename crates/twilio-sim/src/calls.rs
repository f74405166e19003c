//! Calls placed through the API. Their status follows the clock: queued, ringing, in progress, completed.

use std::collections::BTreeSet;

use crate::random::Rng;
use crate::sid::fixed;
use crate::webhooks::WebhookMethod;

/// The status of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallStatus {
    Queued,
    Initiated,
    Ringing,
    InProgress,
    Completed,
    Canceled,
    Busy,
    NoAnswer,
    Failed,
}

impl CallStatus {
    /// Returns the value in the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Canceled => "canceled",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Failed => "failed",
        }
    }

    /// Returns the final status with this value in the API.
    pub(crate) fn final_of(text: &str) -> Option<Self> {
        [
            Self::Completed,
            Self::Canceled,
            Self::Busy,
            Self::NoAnswer,
            Self::Failed,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
    }
}

/// A step of a call that a status callback may report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallEvent {
    Initiated,
    Ringing,
    Answered,
    /// Every end.
    Completed,
}

impl CallEvent {
    pub(crate) const ALL: [Self; 4] = [Self::Initiated, Self::Ringing, Self::Answered, Self::Completed];

    /// Returns the value of `StatusCallbackEvent`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::Completed => "completed",
        }
    }
}

/// Where the steps of a call are reported.
#[derive(Debug, Clone)]
pub(crate) struct CallCallback {
    pub(crate) url: String,
    pub(crate) method: WebhookMethod,
    pub(crate) events: Vec<CallEvent>,
}

/// A call. All times are in seconds.
#[derive(Debug, Clone)]
pub(crate) struct PlacedCall {
    pub(crate) account: String,
    pub(crate) sid: String,
    pub(crate) to: String,
    pub(crate) from: String,
    pub(crate) created: i64,
    pub(crate) callback: Option<CallCallback>,
    rings: i64,
    answered: i64,
    hangs_up: i64,
    stopped: Option<(i64, CallStatus)>,
    /// Steps that were reported or passed over.
    passed: usize,
    /// Webhooks that were sent: the next `SequenceNumber`.
    reported: u32,
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

/// A step of a call to report.
#[derive(Debug, Clone)]
pub(crate) struct CallChange {
    pub(crate) call: PlacedCall,
    pub(crate) callback: CallCallback,
    pub(crate) at: i64,
    pub(crate) event: CallEvent,
    pub(crate) status: CallStatus,
    pub(crate) sequence: u32,
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
            callback: None,
            rings,
            answered,
            hangs_up: answered + rng.seconds(15, 180),
            stopped: None,
            passed: 0,
            reported: 0,
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
        if wanted != CallStatus::Canceled || !in_progress {
            self.stopped = Some((now, wanted));
        }
    }

    /// Returns the steps of the call with their times and statuses.
    fn steps(&self) -> Vec<(i64, CallEvent, CallStatus)> {
        let (end, last) = self.stopped.unwrap_or((self.hangs_up, CallStatus::Completed));
        let before = [
            (self.created, CallEvent::Initiated, CallStatus::Initiated),
            (self.rings, CallEvent::Ringing, CallStatus::Ringing),
            (self.answered, CallEvent::Answered, CallStatus::InProgress),
        ];
        let mut steps: Vec<_> = before.into_iter().filter(|(at, ..)| *at <= end).collect();
        steps.push((end, CallEvent::Completed, last));
        steps
    }

    /// Passes the next step. Returns it if the status callback wants it.
    fn pass_step(&mut self) -> Option<CallChange> {
        let (at, event, status) = self.steps().get(self.passed).copied()?;
        self.passed += 1;
        let callback = self
            .callback
            .clone()
            .filter(|callback| callback.events.contains(&event))?;
        let sequence = self.reported;
        self.reported += 1;
        Some(CallChange {
            call: self.clone(),
            callback,
            at,
            event,
            status,
            sequence,
        })
    }

    fn next_step(&self) -> Option<i64> {
        self.steps().get(self.passed).map(|(at, ..)| *at)
    }
}

/// All calls, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    pub(crate) all: Vec<PlacedCall>,
    /// When a call with a status callback has its next step.
    due: BTreeSet<(i64, usize)>,
}

impl Calls {
    pub(crate) fn add(&mut self, call: PlacedCall) {
        if let Some(at) = call.next_step().filter(|_| call.callback.is_some()) {
            self.due.insert((at, self.all.len()));
        }
        self.all.push(call);
    }

    /// Returns the call of an account.
    pub(crate) fn find(&self, account: &str, sid: &str) -> Option<&PlacedCall> {
        self.all
            .iter()
            .find(|call| call.account == account && call.sid == sid)
    }

    /// Ends a call. Returns its new state, or `None` if the account has no such call.
    pub(crate) fn stop(
        &mut self,
        account: &str,
        sid: &str,
        wanted: CallStatus,
        now: i64,
    ) -> Option<PlacedCall> {
        let index = self
            .all
            .iter()
            .position(|call| call.account == account && call.sid == sid)?;
        let call = self.all.get_mut(index)?;
        call.stop(wanted, now);
        let call = call.clone();
        if call.callback.is_some() {
            self.due.retain(|(_, other)| *other != index);
            self.due.extend(call.next_step().map(|at| (at, index)));
        }
        Some(call)
    }

    /// Returns when the next step is due.
    pub(crate) fn next_due(&self) -> Option<i64> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes the steps to report that are due at `now`, in the order of their times.
    pub(crate) fn take_changes(&mut self, now: i64) -> Vec<CallChange> {
        let mut changes = Vec::new();
        while let Some((at, index)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, index));
            let Some(call) = self.all.get_mut(index) else {
                continue;
            };
            changes.extend(call.pass_step());
            self.due.extend(call.next_step().map(|at| (at, index)));
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(events: &[CallEvent]) -> Calls {
        let mut call = PlacedCall::new(1, 0, "AC1", "+1", "+2", 1000);
        call.callback = Some(CallCallback {
            url: "https://a.example/".to_owned(),
            method: WebhookMethod::Post,
            events: events.to_vec(),
        });
        let mut calls = Calls::default();
        calls.add(call);
        calls
    }

    fn taken(calls: &mut Calls, now: i64) -> Vec<(&'static str, u32)> {
        let changes = calls.take_changes(now);
        changes
            .iter()
            .map(|change| (change.status.as_str(), change.sequence))
            .collect()
    }

    #[test]
    fn each_wanted_step_is_taken_once_with_its_sequence_number() {
        let mut all = calls(&CallEvent::ALL);
        assert_eq!(taken(&mut all, 1000), [("initiated", 0)]);
        assert_eq!(
            taken(&mut all, 2000),
            [("ringing", 1), ("in-progress", 2), ("completed", 3)]
        );
        assert_eq!((taken(&mut all, 9000), all.next_due()), (vec![], None));
        assert_eq!(
            taken(&mut calls(&[CallEvent::Completed]), 2000),
            [("completed", 0)]
        );
    }

    #[test]
    fn a_call_that_is_stopped_ends_at_once() {
        let mut all = calls(&CallEvent::ALL);
        let sid = all.all[0].sid.clone();
        assert!(all.stop("AC1", &sid, CallStatus::Busy, 1000).is_some());
        assert_eq!(taken(&mut all, 1000), [("initiated", 0), ("busy", 1)]);
        assert!(all.stop("AC2", &sid, CallStatus::Busy, 1000).is_none());
        assert_eq!(all.next_due(), None);
    }
}
