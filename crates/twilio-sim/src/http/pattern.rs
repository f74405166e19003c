//! Search patterns for numbers: digits, `*` for any one digit and `%` for any number of digits.

/// A pattern that matches anywhere in a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<u8>);

impl Pattern {
    /// Parses a pattern. Letters are literal and so match no number.
    pub(crate) fn parse(text: &str) -> Self {
        Self(text.trim().bytes().filter(|byte| *byte != b' ').collect())
    }

    /// Returns whether the pattern matches a part of `number` (digits, with or without a plus sign).
    pub(crate) fn is_in(&self, number: &str) -> bool {
        let number = number.as_bytes();
        (0..=number.len()).any(|start| fits(&self.0, number.get(start..).unwrap_or_default()))
    }
}

/// Returns whether `pattern` matches the beginning of `text`.
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
    fn a_pattern_matches_anywhere_with_stars_and_percent_signs_as_wildcards() {
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
                Pattern::parse(pattern).is_in("+14155550100"),
                expected,
                "{pattern}"
            );
        }
    }
}
