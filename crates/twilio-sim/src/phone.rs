//! Phone numbers: parsing of E.164 and national formats, formatting, and lookups.

/// A country's numbering: ISO code, dialing prefix, and the lengths of its national numbers.
struct Country {
    iso: &'static str,
    dial: &'static str,
    shortest: usize,
    longest: usize,
}

const COUNTRIES: [Country; 12] = [
    country("US", "1", 10, 10),
    country("GB", "44", 9, 10),
    country("DE", "49", 6, 11),
    country("FR", "33", 9, 9),
    country("ES", "34", 9, 9),
    country("IT", "39", 6, 11),
    country("NL", "31", 9, 9),
    country("SE", "46", 7, 10),
    country("PL", "48", 9, 9),
    country("AU", "61", 9, 9),
    country("JP", "81", 9, 10),
    country("BR", "55", 10, 11),
];

const CANADIAN_AREAS: [&str; 10] = [
    "416", "604", "514", "647", "778", "905", "250", "403", "613", "519",
];

/// Area codes of toll-free numbers in North America.
pub(crate) const TOLL_FREE: [&str; 7] = ["800", "833", "844", "855", "866", "877", "888"];

const fn country(iso: &'static str, dial: &'static str, shortest: usize, longest: usize) -> Country {
    Country {
        iso,
        dial,
        shortest,
        longest,
    }
}

/// A valid phone number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Phone {
    /// ISO 3166-1 alpha-2.
    pub(crate) iso: &'static str,
    pub(crate) dial: &'static str,
    /// The digits without the dialing prefix.
    pub(crate) national: String,
}

/// Why a number is invalid, with the values of Twilio's Lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalid {
    pub(crate) dial: Option<&'static str>,
    /// The parsed part: a plus sign and digits, or the text itself.
    pub(crate) number: String,
    pub(crate) reason: &'static str,
}

/// The type of line and its carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) kind: &'static str,
    pub(crate) carrier: &'static str,
    /// Mobile country and network code.
    pub(crate) network: Option<(&'static str, &'static str)>,
}

/// Returns whether `text` is a plus sign and 7 to 15 digits, the first not 0.
pub(crate) fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

impl Phone {
    /// Parses a number. Without a plus sign, its country is `home` (an ISO code), or the United States.
    pub(crate) fn parse(text: &str, home: Option<&str>) -> Result<Self, Invalid> {
        let bare: String = text
            .chars()
            .filter(|letter| !matches!(letter, ' ' | '-' | '(' | ')' | '.'))
            .collect();
        let invalid = |dial, number: &str, reason| Invalid {
            dial,
            number: number.to_owned(),
            reason,
        };
        let digits = bare.strip_prefix('+').unwrap_or(&bare);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid(None, text, "NOT_A_NUMBER"));
        }
        let (country, national) = if bare.starts_with('+') {
            COUNTRIES
                .iter()
                .find_map(|country| digits.strip_prefix(country.dial).map(|rest| (country, rest)))
                .ok_or_else(|| invalid(None, &bare, "INVALID_COUNTRY_CODE"))?
        } else {
            let iso = match home {
                Some("CA") | None => "US",
                Some(iso) => iso,
            };
            let country = COUNTRIES
                .iter()
                .find(|country| country.iso == iso)
                .ok_or_else(|| invalid(None, &bare, "INVALID_COUNTRY_CODE"))?;
            let trunk = if country.dial == "1" { "1" } else { "0" };
            (country, digits.strip_prefix(trunk).unwrap_or(digits))
        };
        let number = format!("+{}{national}", country.dial);
        let refused = |reason| Err(invalid(Some(country.dial), &number, reason));
        if national.len() < country.shortest {
            return refused("TOO_SHORT");
        }
        if national.len() > country.longest {
            return refused("TOO_LONG");
        }
        if national.starts_with('0') || (country.dial == "1" && national.starts_with('1')) {
            return refused("INVALID_BUT_POSSIBLE");
        }
        let canadian = country.dial == "1" && starts_with_any(national, &CANADIAN_AREAS);
        Ok(Self {
            iso: if canadian { "CA" } else { country.iso },
            dial: country.dial,
            national: national.to_owned(),
        })
    }

    pub(crate) fn e164(&self) -> String {
        format!("+{}{}", self.dial, self.national)
    }

    /// Returns `(415) 555-0100`, or `0` and the digits in other countries.
    pub(crate) fn national_format(&self) -> String {
        let (area, rest) = self
            .national
            .split_at_checked(3)
            .unwrap_or((self.national.as_str(), ""));
        if self.dial == "1" {
            let (exchange, line) = rest.split_at_checked(3).unwrap_or((rest, ""));
            return format!("({area}) {exchange}-{line}");
        }
        format!("0{area} {rest}")
    }

    /// Returns the simulated line: mobile, except for toll-free area codes, North American numbers that end in 99 (landline) or 88
    /// (VoIP), and numbers of other countries without a mobile prefix.
    pub(crate) fn line(&self) -> Line {
        let line = |kind, carrier, network| Line {
            kind,
            carrier,
            network,
        };
        if self.dial != "1" {
            return if starts_with_any(&self.national, &["7", "6", "15", "16", "17"]) {
                line("mobile", "Vodafone", Some(("262", "02")))
            } else {
                line("landline", "Telekom", None)
            };
        }
        if starts_with_any(&self.national, &TOLL_FREE) {
            line("tollFree", "Twilio - Toll-Free - SMS-Sybase365/MMS-SVR", None)
        } else if self.national.ends_with("99") {
            line("landline", "Pacific Bell", None)
        } else if self.national.ends_with("88") {
            line("nonFixedVoip", "Bandwidth.com", None)
        } else {
            line("mobile", "T-Mobile USA, Inc.", Some(("310", "160")))
        }
    }
}

fn starts_with_any(text: &str, starts: &[&str]) -> bool {
    starts.iter().any(|start| text.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_parsed_in_international_and_national_format() {
        for (text, home, expected) in [
            ("+14155550100", None, "+14155550100"),
            ("(415) 555-0100", None, "+14155550100"),
            ("1 415 555 0100", Some("US"), "+14155550100"),
            ("07700 900123", Some("GB"), "+447700900123"),
        ] {
            assert_eq!(Phone::parse(text, home).unwrap().e164(), expected, "{text}");
        }
        let phone = Phone::parse("+14165550100", None).unwrap();
        assert_eq!(
            (phone.iso, phone.national_format().as_str()),
            ("CA", "(416) 555-0100")
        );
    }

    #[test]
    fn an_invalid_number_has_a_reason() {
        for (text, reason) in [
            ("+1415", "TOO_SHORT"),
            ("+141555501000", "TOO_LONG"),
            ("+10155550100", "INVALID_BUT_POSSIBLE"),
            ("+9999999999", "INVALID_COUNTRY_CODE"),
            ("somebody", "NOT_A_NUMBER"),
        ] {
            assert_eq!(Phone::parse(text, None).unwrap_err().reason, reason, "{text}");
        }
    }
}
