//! The request headers of the proxy: the connection, the options, and what is forwarded to the provider.

use std::str::FromStr;
use std::time::Duration;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap as RequestHeaders};
use gateway::FieldError;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use upstream::{HeaderMap, HeaderName, HeaderValue, ProxyRequest};
use utoipa::IntoParams;

use crate::headers;
use crate::parameters::Bounded;

/// The prefix of headers that are forwarded.
const FORWARD_PREFIX: &str = "nango-proxy-";

/// The options of a proxied request.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case")]
#[into_params(parameter_in = Header)]
pub(crate) struct Options {
    /// The integration's key.
    #[param(rename = "Provider-Config-Key", example = "acme")]
    provider_config_key: String,
    /// Your name for the connection.
    #[param(rename = "Connection-Id", example = "my-acme")]
    connection_id: String,
    /// Another server of the provider, or one that the operator allows.
    #[param(rename = "Base-Url-Override")]
    base_url_override: Option<String>,
    /// The most retries, 0 to 10; 0 if left out. A request that writes is retried only if it cannot have been carried out.
    #[param(rename = "Retries", value_type = Option<u32>, minimum = 0, maximum = 10)]
    retries: Option<Bounded<0, 10>>,
    /// Further statuses to retry, whatever the method.
    #[serde(default, deserialize_with = "statuses")]
    #[param(rename = "Retry-On", value_type = Option<String>, example = "409,423")]
    retry_on: Vec<u16>,
    /// Whether to decompress a compressed response.
    #[serde(default)]
    #[param(rename = "Decompress", value_type = Option<bool>)]
    decompress: bool,
    /// Whether your headers are sent to another origin; an authorization never is.
    #[serde(default)]
    #[param(rename = "Forward-Headers-On-Redirect", value_type = Option<bool>)]
    forward_headers_on_redirect: bool,
    /// Seconds until the response must begin, including retries; bounded by the configuration.
    #[serde(default, deserialize_with = "seconds")]
    #[param(rename = "Trunkline-Deadline", value_type = Option<f64>)]
    trunkline_deadline: Option<Duration>,
    /// Seconds to wait for a permit, at most 10.
    #[serde(default, deserialize_with = "seconds")]
    #[param(rename = "Trunkline-Wait", value_type = Option<f64>)]
    trunkline_wait: Option<Duration>,
    /// The headers that are forwarded to the provider.
    #[serde(skip)]
    #[param(ignore)]
    headers: HeaderMap,
}

impl Options {
    /// Reads the headers, or returns everything that is wrong with them.
    pub(super) fn read(sent: &RequestHeaders) -> Result<Self, Vec<FieldError>> {
        let (headers, mut errors) = forwarded(sent);
        match headers::read::<Self>(sent) {
            Ok(options) if errors.is_empty() => Ok(Self { headers, ..options }),
            Ok(_) => Err(errors),
            Err(mut all) => {
                all.append(&mut errors);
                Err(all)
            }
        }
    }

    /// Moves the options into `request`; returns the integration's key and the connection's name.
    pub(super) fn apply(self, request: &mut ProxyRequest) -> (String, String) {
        request.base_url = self.base_url_override;
        request.headers = self.headers;
        request.retries = self
            .retries
            .and_then(|retries| retries.0.try_into().ok())
            .unwrap_or_default();
        request.retry_on = self.retry_on;
        request.decompress = self.decompress;
        request.carry_headers = self.forward_headers_on_redirect;
        request.deadline = self.trunkline_deadline;
        request.permit_wait = self.trunkline_wait;
        (self.provider_config_key, self.connection_id)
    }
}

fn statuses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u16>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let statuses = text.split(',').map(|status| {
        let is_number = status.bytes().all(|byte| byte.is_ascii_digit());
        status.parse().ok().filter(|_| is_number)
    });
    let statuses: Option<Vec<u16>> = statuses.collect();
    statuses.ok_or_else(|| D::Error::custom("must be statuses separated by commas, such as 409,423"))
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let seconds = String::deserialize(deserializer)?.parse().ok();
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let rule = || D::Error::custom("must be a number of seconds");
    duration.map(Some).ok_or_else(rule)
}

/// Adds the headers that describe the body. Those of the provider's file and those for the provider override them.
pub(super) fn add_content_headers(sent: &RequestHeaders, headers: &mut HeaderMap) {
    for name in [CONTENT_TYPE, CONTENT_ENCODING] {
        let value = sent
            .get(&name)
            .and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
        if let (Ok(name), Some(value)) = (HeaderName::from_str(name.as_str()), value) {
            headers.insert(name, value);
        }
    }
}

/// Returns the headers that are forwarded, without their prefix, and what is wrong with them.
fn forwarded(sent: &RequestHeaders) -> (HeaderMap, Vec<FieldError>) {
    let (mut headers, mut errors) = (HeaderMap::new(), Vec::new());
    for (name, value) in sent {
        let Some(name) = name.as_str().strip_prefix(FORWARD_PREFIX) else {
            continue;
        };
        match (
            HeaderName::from_str(name),
            HeaderValue::from_bytes(value.as_bytes()),
        ) {
            (Ok(name), Ok(value)) => {
                headers.append(name, value);
            }
            _ => errors.push(FieldError::at(
                "invalid",
                format!("{FORWARD_PREFIX}{name}"),
                "has a name or a value that HTTP does not allow",
            )),
        }
    }
    (headers, errors)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName as Name, HeaderValue as Value};

    use super::*;

    fn sent(pairs: &[(&'static str, &'static str)]) -> RequestHeaders {
        pairs
            .iter()
            .map(|(name, value)| (Name::from_static(name), Value::from_static(value)))
            .collect()
    }

    /// The header and the code of each error.
    fn wrong(sent: &RequestHeaders) -> Vec<(String, &'static str)> {
        let errors = Options::read(sent).err().unwrap().into_iter();
        errors.map(|error| (error.path[0].clone(), error.code)).collect()
    }

    #[test]
    fn all_errors_are_reported_together() {
        let mut found = wrong(&sent(&[
            ("connection-id", ""),
            ("retries", "11"),
            ("retry-on", "409, 423"),
            ("decompress", "yes"),
            ("trunkline-wait", "-1"),
        ]));
        found.sort_unstable();
        assert_eq!(
            found,
            [
                ("connection-id", "missing"),
                ("decompress", "invalid"),
                ("provider-config-key", "missing"),
                ("retries", "invalid"),
                ("retry-on", "invalid"),
                ("trunkline-wait", "invalid"),
            ]
            .map(|(name, code)| (name.to_owned(), code))
        );
    }

    #[test]
    fn a_non_ascii_header_is_an_error_and_not_missing() {
        for name in [
            "provider-config-key",
            "base-url-override",
            "retries",
            "trunkline-wait",
        ] {
            let mut sent = sent(&[("provider-config-key", "acme"), ("connection-id", "mine")]);
            sent.insert(
                Name::from_static(name),
                Value::from_bytes("\u{fc}ber".as_bytes()).unwrap(),
            );
            assert_eq!(wrong(&sent), [(name.to_owned(), "invalid")]);
        }
    }

    #[test]
    fn only_headers_for_the_provider_are_forwarded() {
        let options = Options::read(&sent(&[
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
            (options.base_url_override.as_deref(), options.retry_on.as_slice()),
            (None, [409, 423].as_slice())
        );
        let names: Vec<_> = options.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-a"]);
    }
}
