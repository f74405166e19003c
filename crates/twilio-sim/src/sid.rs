//! SIDs that look random but encode a message's rank, so that page tokens need no index.

use crate::random::{Permutation, draw};

/// Converts ranks to the 32 hex digits of a SID and back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SidCodec {
    seed: u64,
    permutation: Permutation,
}

impl SidCodec {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            permutation: Permutation::new(seed),
        }
    }

    /// Returns the 32 hex digits for `rank`: its permuted value, then a check value that detects forged SIDs.
    pub(crate) fn digits(self, rank: u64) -> [u8; 32] {
        let high = self.permutation.apply(rank);
        let low = draw(self.seed, high, 0xC4EC);
        let mut digits = [b'0'; 32];
        let value = (u128::from(high) << 64) | u128::from(low);
        for (pair, byte) in digits.chunks_exact_mut(2).zip(value.to_be_bytes()) {
            if let [first, second] = pair {
                *first = nibble(byte >> 4);
                *second = nibble(byte & 15);
            }
        }
        digits
    }

    /// Returns the rank of these 32 hex digits, if the check value is right.
    pub(crate) fn rank(self, digits: &str) -> Option<u64> {
        if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let value = u128::from_str_radix(digits, 16).ok()?;
        let high = u64::try_from(value >> 64).ok()?;
        let low = u64::try_from(value & u128::from(u64::MAX)).ok()?;
        (low == draw(self.seed, high, 0xC4EC)).then(|| self.permutation.invert(high))
    }
}

fn nibble(value: u8) -> u8 {
    if value < 10 {
        b'0' + value
    } else {
        b'a' + value - 10
    }
}

/// Returns a SID or secret of `prefix` and 32 hex digits, for anything except messages.
pub(crate) fn fixed(prefix: &str, seed: u64, subject: u64) -> String {
    let high = draw(seed, subject, 0xF1);
    let low = draw(seed, subject, 0xF2);
    format!("{prefix}{high:016x}{low:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sid_decodes_to_its_rank_and_a_forged_sid_to_none() {
        let codec = SidCodec::new(42);
        for rank in [0, 1, 999_999, u64::MAX] {
            let digits = String::from_utf8(codec.digits(rank).to_vec()).unwrap();
            assert_eq!(codec.rank(&digits), Some(rank));
        }
        assert_eq!(codec.rank("00000000000000000000000000000000"), None);
        assert_eq!(codec.rank("short"), None);
    }
}
