//! One-time codes: recipients, counts and results. Limits and lifetimes are those that Twilio documents.

use serde::{Deserialize, Serialize};

use crate::random::draw;
use crate::sid::fixed;

/// The lifetime of a verification in seconds.
pub(crate) const LIFETIME: i64 = 600;
const MOST_SENDS: usize = 5;
const MOST_CHECKS: u32 = 5;

/// A Verify service.
#[derive(Debug, Clone)]
pub(crate) struct VerifyService {
    pub(crate) sid: String,
    pub(crate) name: &'static str,
    pub(crate) code_length: u32,
}

/// Returns the services of the account with this seed.
pub(crate) fn services(seed: u64) -> [VerifyService; 2] {
    let service = |index: u64, name, code_length| VerifyService {
        sid: fixed("VA", seed, 300 + index),
        name,
        code_length,
    };
    [
        service(0, "Simulated sign-in", 6),
        service(1, "Simulated checkout", 4),
    ]
}

/// A verification with its code, as the control route returns it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentCode {
    /// `VE…`.
    pub sid: String,
    /// `VA…`.
    pub service_sid: String,
    /// A number or an address.
    pub to: String,
    /// The channel of the last send: `sms`, `call`, `email` or `whatsapp`.
    pub channel: String,
    /// The code that the recipient receives.
    pub code: String,
    /// `pending`, `approved`, `canceled`, `expired` or `max_attempts_reached`.
    pub status: String,
    /// How many times it was sent.
    pub sends: usize,
    /// How many times it was checked.
    pub checks: u32,
}

/// One attempt to send a code.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) sid: String,
    pub(crate) at: i64,
    pub(crate) channel: String,
}

/// How a verification ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Approved,
    Canceled,
}

/// A code that was sent. All times are in seconds.
#[derive(Debug, Clone)]
pub(crate) struct Verification {
    pub(crate) sid: String,
    pub(crate) service: String,
    pub(crate) to: String,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    pub(crate) attempts: Vec<Attempt>,
    code: String,
    checks: u32,
    ending: Option<Ending>,
}

/// The error for more than the documented five in ten minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// Until the verification expires.
    pub(crate) seconds: u64,
}

impl Verification {
    pub(crate) fn status(&self, now: i64) -> &'static str {
        match self.ending {
            Some(Ending::Approved) => "approved",
            Some(Ending::Canceled) => "canceled",
            None if now >= self.created + LIFETIME => "expired",
            None if self.checks >= MOST_CHECKS => "max_attempts_reached",
            None => "pending",
        }
    }

    pub(crate) fn channel(&self) -> &str {
        self.attempts.last().map_or("sms", |attempt| &attempt.channel)
    }

    /// Checks a code. The right code approves the verification.
    pub(crate) fn check(&mut self, code: &str, now: i64) -> Result<(), TooMany> {
        if self.checks >= MOST_CHECKS {
            return Err(self.too_many(now));
        }
        self.checks += 1;
        self.updated = now;
        if self.code == code {
            self.ending = Some(Ending::Approved);
        }
        Ok(())
    }

    pub(crate) fn end(&mut self, ending: Ending, now: i64) {
        self.ending = Some(ending);
        self.updated = now;
    }

    fn is_live(&self, now: i64) -> bool {
        self.ending.is_none() && now < self.created + LIFETIME
    }

    fn too_many(&self, now: i64) -> TooMany {
        TooMany {
            seconds: u64::try_from(self.created + LIFETIME - now).unwrap_or(0),
        }
    }

    fn sent_code(&self, now: i64) -> SentCode {
        SentCode {
            sid: self.sid.clone(),
            service_sid: self.service.clone(),
            to: self.to.clone(),
            channel: self.channel().to_owned(),
            code: self.code.clone(),
            status: self.status(now).to_owned(),
            sends: self.attempts.len(),
            checks: self.checks,
        }
    }
}

/// All verifications since the start, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Verifications {
    all: Vec<Verification>,
    sends: u64,
}

impl Verifications {
    /// Sends a new code, or the live one again.
    pub(crate) fn send(
        &mut self,
        seed: u64,
        service: &VerifyService,
        to: &str,
        channel: &str,
        now: i64,
    ) -> Result<&Verification, TooMany> {
        self.sends += 1;
        let attempt = Attempt {
            sid: fixed("VL", seed, 1_000_000 + self.sends),
            at: now,
            channel: channel.to_owned(),
        };
        let alive = self
            .all
            .iter()
            .position(|one| one.service == service.sid && one.to == to && one.is_live(now));
        let index = alive.unwrap_or(self.all.len());
        if alive.is_none() {
            self.all.push(Verification {
                sid: fixed("VE", seed, 1_000_000 + self.sends),
                service: service.sid.clone(),
                to: to.to_owned(),
                created: now,
                updated: now,
                attempts: Vec::new(),
                code: code(seed, self.sends, service.code_length),
                checks: 0,
                ending: None,
            });
        }
        let Some(one) = self.all.get_mut(index) else {
            return Err(TooMany { seconds: 0 });
        };
        if one.attempts.len() >= MOST_SENDS {
            return Err(one.too_many(now));
        }
        one.updated = now;
        one.attempts.push(attempt);
        Ok(one)
    }

    /// Returns the live verification of a service, by its SID or recipient.
    pub(crate) fn live(&mut self, service: &str, name: &str, now: i64) -> Option<&mut Verification> {
        self.all
            .iter_mut()
            .find(|one| one.service == service && (one.sid == name || one.to == name) && one.is_live(now))
    }

    /// Returns all codes, newest first.
    pub(crate) fn sent_codes(&self, now: i64) -> Vec<SentCode> {
        self.all.iter().rev().map(|one| one.sent_code(now)).collect()
    }
}

/// Returns a code of `length` digits.
fn code(seed: u64, number: u64, length: u32) -> String {
    let digits = draw(seed, number, 0xC0DE) % 10_u64.pow(length);
    let width = usize::try_from(length).unwrap_or(6);
    format!("{digits:0width$}")
}
