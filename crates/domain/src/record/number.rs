//! Decimal numbers with the digits that were sent; they never become floats.

/// The most digits of a decimal in plain notation. PostgreSQL allows far more, but no amount of money needs as many.
const MAX_DIGITS: usize = 1_000;

/// A decimal number: its digits and an exponent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Without leading zeros; empty for zero.
    digits: String,
    /// The power of ten of the last digit.
    exponent: i64,
}

impl Decimal {
    /// Parses `-12`, `+1.50`, `.5`, `1.7e9`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, power(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits = [whole, fraction].concat();
        if digits.is_empty() || digits.bytes().any(|byte| !byte.is_ascii_digit()) {
            return None;
        }
        let zeros = digits.bytes().take_while(|byte| *byte == b'0').count();
        digits.drain(..zeros);
        Some(Self {
            negative: text.starts_with('-') && !digits.is_empty(),
            digits,
            exponent: exponent.saturating_sub(i64::try_from(fraction.len()).ok()?),
        })
    }

    /// Returns the number in plain notation with its trailing zeros: `-0.00750`. `None` if that takes more than 1,000 digits.
    pub(super) fn plain(&self) -> Option<String> {
        let zeros = usize::try_from(self.exponent.max(0)).ok()?;
        let places = usize::try_from(self.exponent.min(0).unsigned_abs()).ok()?;
        let zeros = if self.digits.is_empty() { 0 } else { zeros };
        let length = self.digits.len().saturating_add(zeros).max(places);
        if length > MAX_DIGITS {
            return None;
        }
        let mut plain = self.digits.clone();
        plain.extend(std::iter::repeat_n('0', zeros));
        // At least one digit before the point.
        let missing = (places + 1).saturating_sub(plain.len());
        plain.insert_str(0, &"0".repeat(missing));
        if places > 0 {
            plain.insert(plain.len() - places, '.');
        }
        if self.negative {
            plain.insert(0, '-');
        }
        Some(plain)
    }

    /// Returns the number times ten to the power of `shift`, if that is a whole number in the range of the type.
    pub(super) fn whole(&self, shift: i64) -> Result<i64, NotWhole> {
        let significant = self.digits.trim_end_matches('0');
        let cut = i64::try_from(self.digits.len() - significant.len()).unwrap_or(i64::MAX);
        let exponent = self.exponent.saturating_add(cut).saturating_add(shift);
        if significant.is_empty() {
            return Ok(0);
        }
        let Ok(zeros) = u32::try_from(exponent) else {
            return Err(if exponent < 0 {
                NotWhole::Fraction
            } else {
                NotWhole::OutOfRange
            });
        };
        let scaled = || {
            let number: i128 = significant.parse().ok()?;
            let number = number.checked_mul(10_i128.checked_pow(zeros)?)?;
            i64::try_from(if self.negative { -number } else { number }).ok()
        };
        scaled().ok_or(NotWhole::OutOfRange)
    }

    /// Like [`Decimal::whole`], but rounds down.
    pub(super) fn floor(&self, shift: i64) -> Result<i64, NotWhole> {
        match self.whole(shift) {
            Err(NotWhole::Fraction) => {}
            other => return other,
        }
        let dropped = self.exponent.saturating_add(shift).unsigned_abs();
        let kept = usize::try_from(dropped)
            .ok()
            .and_then(|dropped| self.digits.len().checked_sub(dropped))
            .and_then(|kept| self.digits.get(..kept))
            .unwrap_or_default();
        let whole = Self {
            negative: self.negative,
            digits: kept.to_owned(),
            exponent: 0,
        };
        Ok(whole.whole(0)?.saturating_sub(i64::from(self.negative)))
    }
}

/// Why a number is not a 64-bit integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotWhole {
    Fraction,
    OutOfRange,
}

fn power(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || digits.bytes().any(|byte| !byte.is_ascii_digit()) {
        return None;
    }
    // Far beyond what any column allows, and far from an overflow.
    let size = digits.parse().unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
    Some(if text.starts_with('-') { -size } else { size })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(text: &str) -> Option<String> {
        Decimal::parse(text)?.plain()
    }

    #[test]
    fn decimals_keep_their_digits() {
        for (written, kept) in [
            ("1.10", "1.10"),
            ("-0.00750", "-0.00750"),
            ("1234567890123456.78", "1234567890123456.78"),
            ("+5", "5"),
            ("007.50", "7.50"),
            ("-0.00", "0.00"),
            ("0e5", "0"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e3", "1000"),
            ("1.5E-3", "0.0015"),
            ("12.34e1", "123.4"),
            ("1.50e1", "15.0"),
        ] {
            assert_eq!(plain(written).as_deref(), Some(kept), "{written}");
        }
        for written in [
            "",
            "-",
            ".",
            "1.2.3",
            "1e",
            "1e+",
            "abc",
            "1 000",
            "1,5",
            "--1",
            "e5",
            "1e400000",
            "1e-400000",
            "1e99999999999999999999",
        ] {
            assert_eq!(plain(written), None, "{written}");
        }
        assert_eq!(plain(&"9".repeat(1_000)).map(|text| text.len()), Some(1_000));
        assert_eq!(plain(&"9".repeat(1_001)), None);
    }

    #[test]
    fn whole_numbers_are_exact() {
        let whole = |text: &str| Decimal::parse(text).unwrap().whole(0);
        for (written, number) in [
            ("1.0", 1),
            ("1e3", 1_000),
            ("1200e-2", 12),
            ("-0", 0),
            ("0.000", 0),
            ("0e99999999999", 0),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808.00", i64::MIN),
        ] {
            assert_eq!(whole(written), Ok(number), "{written}");
        }
        assert_eq!(whole("1.5"), Err(NotWhole::Fraction));
        assert_eq!(whole("1e-400000"), Err(NotWhole::Fraction));
        for written in ["9223372036854775808", "1e19", "1e400", "1e99999999999999999999"] {
            assert_eq!(whole(written), Err(NotWhole::OutOfRange), "{written}");
        }
    }

    #[test]
    fn fractions_are_truncated_towards_the_past() {
        let floor = |text: &str, shift| Decimal::parse(text).unwrap().floor(shift);
        assert_eq!(floor("1.9", 0), Ok(1));
        assert_eq!(floor("-1.1", 0), Ok(-2));
        assert_eq!(floor("-0.1", 0), Ok(-1));
        assert_eq!(floor("0.00000001", 6), Ok(0));
        assert_eq!(floor("1.7e9", 6), Ok(1_700_000_000_000_000));
        assert_eq!(floor("1700000000.1234567", 6), Ok(1_700_000_000_123_456));
        assert_eq!(floor("1e-99999999", 6), Ok(0));
        assert_eq!(floor("1e99999999", 6), Err(NotWhole::OutOfRange));
    }

    proptest! {
        #[test]
        fn plain_notation_reads_back_as_the_same_number(text in "[+-]?[0-9]{1,30}(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?") {
            let decimal = Decimal::parse(&text).unwrap();
            let again = Decimal::parse(&decimal.plain().unwrap()).unwrap();
            prop_assert_eq!(&again.plain(), &decimal.plain());
            prop_assert_eq!(again.whole(0), decimal.whole(0));
            prop_assert_eq!(again.floor(6), decimal.floor(6));
        }

        #[test]
        fn no_text_makes_reading_panic(text in "[-+.eE0-9]{0,40}", shift in -10_i64..10) {
            if let Some(decimal) = Decimal::parse(&text) {
                let _ = (decimal.plain(), decimal.whole(shift), decimal.floor(shift));
            }
        }
    }
}
