//! The patterns by which numbers are searched: digits, `*` for any one of them and `%` for any run.

/// A pattern; it may stand anywhere in a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<u8>);

impl Pattern {
    /// Takes a pattern as it is; letters stand for themselves and so match no number.
    pub(crate) fn read(text: &str) -> Self {
        Self(text.trim().bytes().filter(|byte| *byte != b' ').collect())
    }

    /// Whether some part of `number` (digits, a plus sign before them or not) fits.
    pub(crate) fn is_in(&self, number: &str) -> bool {
        let number = number.as_bytes();
        (0..=number.len()).any(|start| fits(&self.0, number.get(start..).unwrap_or_default()))
    }
}

/// Whether `pattern` fits the beginning of `text`.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, _) => true,
        (Some((b'%', rest)), more) => fits(rest, text) || more.is_some_and(|(_, after)| fits(pattern, after)),
        (Some((b'*', rest)), Some((byte, after))) => byte.is_ascii_digit() && fits(rest, after),
        (Some((wanted, rest)), Some((byte, after))) => wanted == byte && fits(rest, after),
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_anywhere_with_stars_for_digits_and_percents_for_runs() {
        for (pattern, expected) in [
            ("5550", true),
            ("+1415", true),
            ("5*50", true),
            ("415%00", true),
            ("", true),
            ("556", false),
            ("+415", false),
            ("0100*", false),
        ] {
            assert_eq!(
                Pattern::read(pattern).is_in("+14155550100"),
                expected,
                "{pattern}"
            );
        }
    }
}
