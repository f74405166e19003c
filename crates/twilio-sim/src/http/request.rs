//! A parsed API request: method, path segments, suffix, query and form.

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use crate::shared::Shared;

/// A request for the handlers.
#[derive(Debug)]
pub(crate) struct ApiRequest {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    /// False for a path of the 2010 API without `.json`, whose response is XML.
    pub(crate) json: bool,
    /// The host, if it belongs to Twilio.
    host: Option<String>,
    basic: Option<(String, String)>,
    form: Vec<(String, String)>,
    /// A JSON body; empty for other bodies.
    pub(crate) json_body: Vec<u8>,
    pub(crate) idempotency_key: Option<String>,
}

impl ApiRequest {
    pub(crate) fn new(request: &HttpRequest, body: &[u8]) -> Self {
        let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let is_of = |prefix: &str| text(CONTENT_TYPE).is_some_and(|kind| kind.starts_with(prefix));
        let is_form = is_of("application/x-www-form-urlencoded");
        let form = form_urlencoded::parse(if is_form { body } else { b"" })
            .into_owned()
            .collect();
        Self {
            method: request.method().clone(),
            path: request.path().to_owned(),
            query: request.query_string().to_owned(),
            json: !request.path().starts_with("/2010-04-01")
                || request.path().strip_suffix(".json").is_some(),
            host: text(HOST).and_then(twilio_host),
            basic: text(AUTHORIZATION).and_then(basic),
            form,
            json_body: if is_of("application/json") {
                body.to_vec()
            } else {
                Vec::new()
            },
            idempotency_key: request
                .headers()
                .get("Idempotency-Key")
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
        }
    }

    /// Returns the decoded segments of the path without its suffix.
    pub(crate) fn segments(&self) -> Vec<String> {
        let rest = self.path.trim_start_matches('/');
        rest.strip_suffix(".json")
            .unwrap_or(rest)
            .split('/')
            .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
            .collect()
    }

    /// Returns the product in a Twilio host: `verify` of `verify.twilio.com`.
    pub(crate) fn host_label(&self) -> Option<&str> {
        self.host.as_deref().and_then(|host| host.split('.').next())
    }

    /// Returns the origin of absolute links: Twilio's host if the request was for it, else the simulator's address.
    pub(crate) fn origin(&self, shared: &Shared) -> String {
        self.host
            .as_ref()
            .map_or_else(|| shared.url.clone(), |host| format!("https://{host}"))
    }

    /// Returns user name and password.
    pub(crate) fn basic(&self) -> Option<(&str, &str)> {
        self.basic
            .as_ref()
            .map(|(name, secret)| (name.as_str(), secret.as_str()))
    }

    /// Returns a form field; `Some("")` if it is empty.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.form
            .iter()
            .find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }

    /// Returns a form field that is not empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.field(name).filter(|value| !value.is_empty())
    }

    /// Returns the non-empty values of a repeated field.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.form
            .iter()
            .filter(move |(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// Returns how many times a field was sent.
    pub(crate) fn repeats(&self, name: &str) -> u32 {
        u32::try_from(self.values(name).count()).unwrap_or(0)
    }

    /// Returns a query parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes())
            .find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }
}

fn twilio_host(header: &str) -> Option<String> {
    let host = header.split(':').next()?.to_ascii_lowercase();
    host.ends_with(".twilio.com").then_some(host)
}

fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    decoded
        .split_once(':')
        .map(|(name, secret)| (name.to_owned(), secret.to_owned()))
}
