//! Formats of values that people and apps enter: which texts have them, and what errors call them.

use schemars::JsonSchema;
use serde::Deserialize;

/// The format of a field or an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldFormat {
    /// A host name.
    Hostname,
    /// An absolute http or https address.
    Uri,
    /// A UUID.
    Uuid,
    /// An e-mail address.
    Email,
    /// A phone number in E.164, or a channel address such as `whatsapp:+15551234567`.
    Phone,
    /// The same, a short code, or a sender's name.
    Sender,
    /// A day: `2026-01-31`.
    Date,
    /// A time with its offset: `2026-01-31T10:00:00Z`.
    DateTime,
}

impl FieldFormat {
    /// Checks a value of this format. The error is the end of a sentence that begins with the field's name.
    pub fn check(self, value: &str) -> Result<(), String> {
        if self.holds(value) {
            Ok(())
        } else {
            Err(format!("must be {}", self.words()))
        }
    }

    pub(crate) fn holds(self, value: &str) -> bool {
        match self {
            Self::Hostname => is_hostname(value),
            Self::Uri => url::Url::parse(value)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()),
            Self::Uuid => is_uuid(value),
            Self::Email => {
                let parts = value
                    .split_once('@')
                    .filter(|(name, _)| !name.is_empty() && !name.contains(char::is_whitespace));
                parts.is_some_and(|(_, host)| host.contains('.') && is_hostname(host))
            }
            Self::Phone => is_phone(value),
            Self::Sender => is_phone(value) || is_short_code(value) || is_sender_name(value),
            Self::Date => chrono::NaiveDate::parse_from_str(value, "%Y-%m-%d").is_ok(),
            Self::DateTime => chrono::DateTime::parse_from_rfc3339(value).is_ok(),
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Hostname => "a host name such as api.example.com, without https:// and without a path",
            Self::Uri => "an address such as https://api.example.com",
            Self::Uuid => "a UUID such as 123e4567-e89b-12d3-a456-426614174000",
            Self::Email => "an e-mail address such as name@example.com",
            Self::Phone => {
                "a phone number in E.164 such as +15551234567 (a plus, the country code and the number, digits only), or a \
                 channel address such as whatsapp:+15551234567"
            }
            Self::Sender => {
                "a phone number in E.164 such as +15551234567, a channel address such as whatsapp:+15551234567, a short code, \
                 or a sender's name of up to 11 letters, digits and spaces"
            }
            Self::Date => "a day such as 2026-01-31",
            Self::DateTime => "a time with its offset, such as 2026-01-31T10:00:00Z",
        }
    }
}

/// RFC 1123, section 2.1.
fn is_hostname(value: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    value.len() <= 253 && value.split('.').all(label)
}

fn is_uuid(value: &str) -> bool {
    let lengths: Vec<usize> = value.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && value.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

/// Whether `value` is an E.164 number with its plus, or a channel's name, a colon and an address of that channel. The address must be
/// E.164 if it begins with a plus or if the channel uses phone numbers.
fn is_phone(value: &str) -> bool {
    let Some((channel, address)) = value.split_once(':') else {
        return is_e164(value);
    };
    let named = channel.starts_with(|c: char| c.is_ascii_lowercase())
        && channel
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let by_number =
        address.starts_with('+') || matches!(channel, "whatsapp" | "sms" | "mms" | "tel" | "viber");
    let plain = !address.is_empty() && !address.contains(|c: char| c.is_whitespace() || c.is_control());
    named && plain && (!by_number || is_e164(address))
}

fn is_e164(value: &str) -> bool {
    let digits = value.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len()) && all_digits(digits) && !digits.starts_with('0')
}

fn is_short_code(value: &str) -> bool {
    (3..=8).contains(&value.len()) && all_digits(value)
}

/// Whether `value` is a name that networks accept in place of a number; it has at least one letter, which tells it from a number.
fn is_sender_name(value: &str) -> bool {
    (1..=11).contains(&value.len())
        && value.contains(|c: char| c.is_ascii_alphabetic())
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || " +-_&".contains(c))
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns a hint for a phone number whose plus sign arrived as a space.
pub(crate) fn lost_plus(text: &str) -> &'static str {
    let rest = text.strip_prefix(' ').unwrap_or_default();
    if rest.starts_with(|c: char| c.is_ascii_digit()) {
        "; it begins with a blank, which is what a + becomes in an address: write %2B there"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::FieldFormat::{Date, DateTime, Email, Hostname, Phone, Sender, Uri, Uuid};

    #[test]
    fn formats_match_what_they_promise() {
        for (format, good, bad) in [
            (Hostname, "api.example.com", "https://api.example.com/x"),
            (Hostname, "localhost", "a..b"),
            (Uri, "https://example.com/a", "ftp://example.com"),
            (
                Uuid,
                "123e4567-e89b-12d3-a456-426614174000",
                "123e4567e89b12d3a456426614174000",
            ),
            (Email, "a.b@example.com", "a b@example.com"),
            (Email, "a@example.com", "@example.com"),
            (Phone, "+15551234567", "15551234567"),
            (Phone, "+4915112345678", "+49 151 12345678"),
            (Phone, "+442071838750", "+0442071838750"),
            (Phone, "+15551234567", "+1555"),
            (Phone, "whatsapp:+15551234567", "whatsapp:15551234567"),
            (Phone, "messenger:1234567890", "messenger:"),
            (Phone, "client:alice", "client:al ice"),
            (Phone, "sip:alice@example.com", ": +15551234567"),
            (Phone, "+123456789012345", "+1234567890123456"),
            (Sender, "Acme Shop", "Acme Shop Inc."),
            (Sender, "12345", "5551234567"),
            (Sender, "+15551234567", "(555) 123-4567"),
            (Date, "2026-01-31", "2026-02-31"),
            (DateTime, "2026-01-31T10:00:00Z", "2026-01-31T10:00:00"),
        ] {
            assert!(format.check(good).is_ok(), "{good}");
            assert!(format.check(bad).is_err(), "{bad}");
        }
    }
}
