//! Exponential backoff: the wait doubles with each failure in a row, up to a bound.

use std::time::Duration;

/// The waits between attempts at the same thing.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Backoff {
    /// Returns the wait after so many failures in a row.
    pub fn after(self, failures: u32) -> Duration {
        let doubled = 2_u32
            .checked_pow(failures.saturating_sub(1))
            .and_then(|factor| self.first.checked_mul(factor));
        doubled.unwrap_or(self.longest).min(self.longest)
    }

    /// Returns a random wait from zero to that of [`Self::after`] (full jitter), so that clients that failed together do not come
    /// back together.
    pub(crate) fn jittered(self, failures: u32) -> Duration {
        self.after(failures).mul_f64(rand::random())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_backoff_never_exceeds_its_doubling_nor_its_bound(failures in 0..200_u32) {
            let backoff = Backoff { first: Duration::from_millis(250), longest: Duration::from_secs(30) };
            let wait = backoff.jittered(failures);
            prop_assert!(wait <= backoff.longest);
            prop_assert!(failures > 7 || wait <= backoff.first * 2_u32.pow(failures.saturating_sub(1)));
        }
    }
}
