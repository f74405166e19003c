//! Seeded random numbers. Every random choice of the simulator uses them, so that a seed reproduces a run.

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64's finaliser: a bijection of 64 bits that looks random.
pub(crate) const fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(GOLDEN);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Returns the random bits of one subject (a rank, a request, a day) for one purpose (`salt`).
pub(crate) const fn draw(seed: u64, subject: u64, salt: u64) -> u64 {
    mix(seed ^ mix(subject ^ salt.wrapping_mul(GOLDEN)))
}

/// Returns `true` for a share (0 to 1) of all `bits`.
pub(crate) fn chance(bits: u64, share: f64) -> bool {
    share > 0.0 && f64::from(high_half(bits)) / 4_294_967_296.0 < share
}

/// The upper 32 bits.
pub(crate) fn high_half(bits: u64) -> u32 {
    u32::try_from(bits >> 32).unwrap_or(u32::MAX)
}

/// The lower 32 bits.
pub(crate) fn low_half(bits: u64) -> u32 {
    u32::try_from(bits & 0xFFFF_FFFF).unwrap_or(u32::MAX)
}

/// Scales `bits` to `0..bound`, for bounds below 2^32.
pub(crate) fn below(bits: u64, bound: u64) -> u64 {
    ((bits >> 32) * bound) >> 32
}

/// A short sequence of random numbers for one subject.
#[derive(Debug, Clone)]
pub(crate) struct Rng {
    state: u64,
}

impl Rng {
    pub(crate) fn new(seed: u64, subject: u64, salt: u64) -> Self {
        Self {
            state: draw(seed, subject, salt),
        }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// Returns a number in `0..bound`, for bounds below 2^32.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        below(self.next(), bound)
    }

    /// Returns a number of seconds in `from..=to`.
    pub(crate) fn seconds(&mut self, from: u32, to: u32) -> i64 {
        let width = u64::from(to.saturating_sub(from)) + 1;
        i64::from(from) + i64::try_from(self.below(width)).unwrap_or(0)
    }

    /// Returns `true` with a probability of `per_mille` in a thousand.
    pub(crate) fn per_mille(&mut self, per_mille: u32) -> bool {
        self.below(1000) < u64::from(per_mille)
    }

    /// Returns one of `choices`.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        let bound = u64::try_from(choices.len()).unwrap_or(0);
        choices.get(usize::try_from(self.below(bound)).unwrap_or(0))
    }
}

/// A seeded permutation of all 64-bit numbers, and its inverse: four Feistel rounds over two halves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Permutation {
    keys: [u64; 4],
}

impl Permutation {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            keys: [1, 2, 3, 4].map(|round| draw(seed, round, 0x51D)),
        }
    }

    pub(crate) fn apply(self, value: u64) -> u64 {
        let (mut left, mut right) = (high_half(value), low_half(value));
        for key in self.keys {
            (left, right) = (right, left ^ high_half(mix(u64::from(right) ^ key)));
        }
        (u64::from(left) << 32) | u64::from(right)
    }

    pub(crate) fn invert(self, value: u64) -> u64 {
        let (mut left, mut right) = (high_half(value), low_half(value));
        for key in self.keys.into_iter().rev() {
            (left, right) = (right ^ high_half(mix(u64::from(left) ^ key)), left);
        }
        (u64::from(left) << 32) | u64::from(right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_undoes_itself() {
        let permutation = Permutation::new(7);
        for value in (0..2000).chain([u64::MAX, u64::MAX / 3]) {
            assert_eq!(permutation.invert(permutation.apply(value)), value);
        }
    }

    #[test]
    fn chances_have_the_requested_probability() {
        let hits = (0..10_000)
            .filter(|subject| chance(draw(3, *subject, 9), 0.2))
            .count();
        assert!((1800..2200).contains(&hits), "{hits}");
    }
}
