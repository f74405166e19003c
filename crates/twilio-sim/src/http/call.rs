//! One request to the API, taken apart: method, path segments, suffix, query, form.

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

/// A request as the handlers see it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    /// The path ends in `.json`; otherwise the answer is XML.
    pub(crate) json: bool,
    basic: Option<(String, String)>,
    form: Vec<(String, String)>,
}

impl Call {
    pub(crate) fn new(request: &HttpRequest, body: &[u8]) -> Self {
        let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let is_form =
            text(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let form = form_urlencoded::parse(if is_form { body } else { b"" })
            .into_owned()
            .collect();
        Self {
            method: request.method().clone(),
            path: request.path().to_owned(),
            query: request.query_string().to_owned(),
            json: request.path().strip_suffix(".json").is_some(),
            basic: text(AUTHORIZATION).and_then(basic),
            form,
        }
    }

    /// What follows `/2010-04-01/`, without the suffix, split at slashes.
    pub(crate) fn segments(&self) -> Vec<&str> {
        let rest = self.path.strip_prefix("/2010-04-01/").unwrap_or_default();
        rest.strip_suffix(".json").unwrap_or(rest).split('/').collect()
    }

    /// User name and password.
    pub(crate) fn basic(&self) -> Option<(&str, &str)> {
        self.basic
            .as_ref()
            .map(|(name, secret)| (name.as_str(), secret.as_str()))
    }

    /// A form field, `Some("")` when it was sent empty.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.form
            .iter()
            .find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }

    /// A form field that is not empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.field(name).filter(|value| !value.is_empty())
    }

    /// How often a field was sent.
    pub(crate) fn repeats(&self, name: &str) -> u32 {
        u32::try_from(
            self.form
                .iter()
                .filter(|(key, value)| key == name && !value.is_empty())
                .count(),
        )
        .unwrap_or(0)
    }

    /// A parameter of the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes())
            .find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }
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
