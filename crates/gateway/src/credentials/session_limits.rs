//! The limits of a connect session. Its holder is an end user, who is not trusted.
//!
//! An attempt counts as failed when it begins, so that concurrent requests are limited too, and aborting a request gains nothing. A
//! successful connect resets the count of failures.

use std::time::Duration;

use domain::Timestamp;
use store::connect_sessions::{self, Attempts};
use store::{DbConn, StoreError};
use upstream::Backoff;

use crate::error::{GatewayError, Result, refusable};
use crate::gateway::Gateway;

/// The maximum number of connections that a session may create or reconnect.
const MAX_CONNECTIONS: i64 = 20;
/// The number of failed attempts in a row after which the next one must wait.
const FAILURES_BEFORE_WAIT: i64 = 5;
/// The waits from the fifth failure on.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(15),
    longest: Duration::from_mins(10),
};

/// Counts an attempt of a session, or fails if none is allowed now. `token_hash` is the hash of the session's token.
pub(super) async fn begin_attempt(gateway: &Gateway, token_hash: String) -> Result<()> {
    let now = gateway.clock.now();
    let begun = gateway.store.write(refusable(move |c| {
        let attempts = lock_attempts_within_limit(c, &token_hash, now)?;
        if let Some(retry_at) = attempts.retry_at.filter(|retry_at| *retry_at > now) {
            return Err(GatewayError::TooManyAttempts {
                failures: attempts.failures,
                retry_after: retry_at.since(now),
            });
        }
        let failures = attempts.failures.saturating_add(1);
        let attempts = Attempts {
            failures,
            retry_at: wait_after(failures).map(|wait| now.plus(wait)),
            ..attempts
        };
        Ok(connect_sessions::set_attempts(c, &token_hash, &attempts)?)
    }));
    begun.await?
}

/// Counts a connection that the session made, and clears its failures.
pub(super) fn count_connection(c: &mut DbConn, token_hash: &str, now: Timestamp) -> Result<(), StoreError> {
    let Some(attempts) = connect_sessions::lock_attempts(c, token_hash, now)? else {
        return Ok(());
    };
    let attempts = Attempts {
        connections: attempts.connections.saturating_add(1),
        failures: 0,
        retry_at: None,
    };
    connect_sessions::set_attempts(c, token_hash, &attempts)
}

/// Locks the attempts of a session. It is an error if the session has ended or has reached its maximum of connections.
pub(super) fn lock_attempts_within_limit(
    c: &mut DbConn,
    token_hash: &str,
    now: Timestamp,
) -> Result<Attempts> {
    match connect_sessions::lock_attempts(c, token_hash, now)? {
        None => Err(GatewayError::UnknownSession),
        Some(attempts) if attempts.connections >= MAX_CONNECTIONS => Err(GatewayError::Capped(format!(
            "this connect session has reached its limit of {MAX_CONNECTIONS} connections: create a new session with \
             POST /connect/sessions"
        ))),
        Some(attempts) => Ok(attempts),
    }
}

/// Returns the wait after this many failures in a row.
fn wait_after(failures: i64) -> Option<Duration> {
    let counted = failures.saturating_sub(FAILURES_BEFORE_WAIT - 1);
    (counted > 0).then(|| BACKOFF.after(u32::try_from(counted).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_begin_with_the_fifth_failure_and_double_up_to_a_bound() {
        let seconds = |failures| wait_after(failures).map(|wait| wait.as_secs());
        assert_eq!(
            [1, 4, 5, 6, 7].map(seconds),
            [None, None, Some(15), Some(30), Some(60)]
        );
        assert_eq!([11, 1_000, i64::MAX].map(seconds), [Some(600); 3]);
    }
}
