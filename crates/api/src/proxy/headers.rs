//! What a caller says in headers: whom to call, how hard to try, and what goes on to the provider.

use std::str::FromStr;
use std::time::Duration;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap as Given};
use gateway::FieldError;
use upstream::{HeaderMap, HeaderName, HeaderValue, ProxyRequest};

/// Begins the headers that go on.
const FOR_THE_PROVIDER: &str = "nango-proxy-";
/// Repetitions at most.
const MOST_RETRIES: u32 = 10;

/// What a caller asks for.
pub(super) struct Asked {
    integration: String,
    connection: String,
    base_url: Option<String>,
    retries: u32,
    retry_on: Vec<u16>,
    decompress: bool,
    carry_headers: bool,
    deadline: Option<Duration>,
    wait: Option<Duration>,
    headers: HeaderMap,
}

impl Asked {
    /// Moves what concerns the call into `relay`; returns the integration's key and the connection's name.
    pub(super) fn apply(self, relay: &mut ProxyRequest) -> (String, String) {
        relay.base_url = self.base_url;
        relay.headers = self.headers;
        relay.retries = self.retries;
        relay.retry_on = self.retry_on;
        relay.decompress = self.decompress;
        relay.carry_headers = self.carry_headers;
        relay.deadline = self.deadline;
        relay.wait = self.wait;
        (self.integration, self.connection)
    }
}

/// Reads the headers, or tells everything that is wrong with them.
pub(super) fn read(given: &Given) -> Result<Asked, Vec<FieldError>> {
    let mut reader = Reader {
        given,
        errors: Vec::new(),
    };
    let asked = Asked {
        integration: reader.needed("provider-config-key", "the integration's key"),
        connection: reader.needed("connection-id", "what you call the connection"),
        base_url: reader.text("base-url-override").ok().flatten().map(str::to_owned),
        retries: reader.checked("retries", "a whole number from 0 to 10", |text| {
            text.parse().ok().filter(|retries| *retries <= MOST_RETRIES)
        }),
        retry_on: reader.checked(
            "retry-on",
            "statuses with commas between, such as 409,423",
            statuses,
        ),
        decompress: reader.checked("decompress", "true or false", |text| text.parse().ok()),
        carry_headers: reader.checked("forward-headers-on-redirect", "true or false", |text| {
            text.parse().ok()
        }),
        deadline: reader.checked("trunkline-deadline", "a number of seconds", |text| {
            seconds(text).map(Some)
        }),
        wait: reader.checked("trunkline-wait", "a number of seconds", |text| {
            seconds(text).map(Some)
        }),
        headers: reader.for_the_provider(),
    };
    if reader.errors.is_empty() {
        Ok(asked)
    } else {
        Err(reader.errors)
    }
}

/// Adds what the request says of its own body. The provider's file wins over it, and so do headers for the provider.
pub(super) fn of_the_body(given: &Given, headers: &mut HeaderMap) {
    for name in [CONTENT_TYPE, CONTENT_ENCODING] {
        let value = given
            .get(&name)
            .and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
        if let (Ok(name), Some(value)) = (HeaderName::from_str(name.as_str()), value) {
            headers.insert(name, value);
        }
    }
}

fn statuses(text: &str) -> Option<Vec<u16>> {
    text.split(',')
        .map(|status| {
            let digits = !status.is_empty() && status.bytes().all(|byte| byte.is_ascii_digit());
            status.parse().ok().filter(|_| digits)
        })
        .collect()
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

struct Reader<'a> {
    given: &'a Given,
    errors: Vec<FieldError>,
}

/// A header whose value is not ASCII, which is noted.
struct NotAscii;

impl<'a> Reader<'a> {
    /// The text of a header, unless it is missing or empty: Nango's SDK sends empty ones for what it was not told. One that is not
    /// ASCII is noted as an error.
    fn text(&mut self, name: &'static str) -> Result<Option<&'a str>, NotAscii> {
        let Some(value) = self.given.get(name) else {
            return Ok(None);
        };
        let Ok(text) = value.to_str() else {
            self.errors.push(FieldError::at(
                "invalid",
                name,
                "has characters other than those of ASCII",
            ));
            return Err(NotAscii);
        };
        Ok(Some(text.trim()).filter(|text| !text.is_empty()))
    }

    fn needed(&mut self, name: &'static str, what: &str) -> String {
        match self.text(name) {
            Ok(Some(text)) => return text.to_owned(),
            Err(NotAscii) => return String::new(),
            Ok(None) => {}
        }
        self.errors.push(FieldError::at(
            "missing",
            name,
            format!("this header is needed: {what}"),
        ));
        String::new()
    }

    fn checked<T: Default>(
        &mut self,
        name: &'static str,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> T {
        let Ok(Some(text)) = self.text(name) else {
            return T::default();
        };
        parse(text).unwrap_or_else(|| {
            self.errors
                .push(FieldError::at("invalid", name, format!("must be {what}")));
            T::default()
        })
    }

    fn for_the_provider(&mut self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in self.given {
            let Some(name) = name.as_str().strip_prefix(FOR_THE_PROVIDER) else {
                continue;
            };
            match (
                HeaderName::from_str(name),
                HeaderValue::from_bytes(value.as_bytes()),
            ) {
                (Ok(name), Ok(value)) => {
                    headers.append(name, value);
                }
                _ => self.errors.push(FieldError::at(
                    "invalid",
                    format!("{FOR_THE_PROVIDER}{name}"),
                    "has a name or a value that HTTP does not allow",
                )),
            }
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName as Name, HeaderValue as Value};

    use super::*;

    fn given(pairs: &[(&'static str, &'static str)]) -> Given {
        pairs
            .iter()
            .map(|(name, value)| (Name::from_static(name), Value::from_static(value)))
            .collect()
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let errors = read(&given(&[
            ("connection-id", ""),
            ("retries", "11"),
            ("retry-on", "409, 423"),
            ("decompress", "yes"),
            ("trunkline-wait", "-1"),
        ]))
        .err()
        .unwrap();

        let told: Vec<_> = errors
            .iter()
            .map(|error| (error.path[0].as_str(), error.code))
            .collect();
        assert_eq!(
            told,
            [
                ("provider-config-key", "missing"),
                ("connection-id", "missing"),
                ("retries", "invalid"),
                ("retry-on", "invalid"),
                ("decompress", "invalid"),
                ("trunkline-wait", "invalid"),
            ]
        );
    }

    #[test]
    fn a_header_that_is_not_ascii_is_an_error_and_not_a_missing_one() {
        for name in [
            "provider-config-key",
            "base-url-override",
            "retries",
            "trunkline-wait",
        ] {
            let mut given = given(&[("provider-config-key", "acme"), ("connection-id", "mine")]);
            given.insert(
                Name::from_static(name),
                Value::from_bytes("\u{fc}ber".as_bytes()).unwrap(),
            );
            let errors = read(&given).err().unwrap();
            let told: Vec<_> = errors
                .iter()
                .map(|error| (error.path[0].as_str(), error.code))
                .collect();
            assert_eq!(told, [(name, "invalid")]);
        }
    }

    #[test]
    fn only_what_is_meant_for_the_provider_goes_on() {
        let asked = read(&given(&[
            ("provider-config-key", "acme"),
            ("connection-id", "my-acme"),
            ("base-url-override", ""),
            ("cookie", "a=b"),
            ("nango-is-sync", "false"),
            ("nango-proxy-x-a", "1"),
            ("retry-on", "409,423"),
        ]))
        .unwrap();

        assert_eq!(
            (asked.base_url.as_deref(), asked.retry_on.as_slice()),
            (None, [409, 423].as_slice())
        );
        let names: Vec<_> = asked.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-a"]);
    }
}
