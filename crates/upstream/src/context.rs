//! The values of placeholders that come from the request itself: its time, a random text, its method, address and body.

use domain::Timestamp;
use percent_encoding::utf8_percent_encode;
use registry::now_value;
use serde_json::Value;
use url::Url;

use crate::request_body::{NOT_UNRESERVED, is_form};
use crate::{Request, Variables, json};

/// The time and the random text of a request. The same two fill its headers, parameters and body, so a nonce in one header matches its hash
/// in another.
#[derive(Debug)]
pub(crate) struct RequestValues {
    now: Timestamp,
    random: String,
}

impl RequestValues {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            now,
            random: format!("{:032x}", rand::random::<u128>()),
        }
    }

    /// Returns the value of `now…`, `random` or a placeholder of the connection.
    pub(crate) fn lookup(&self, variables: &Variables, name: &str) -> Option<String> {
        if name == "random" {
            return Some(self.random.clone());
        }
        now_value(name, self.now).or_else(|| variables.lookup(name))
    }
}

/// A request with its URL. Resolves the placeholders in its headers, parameters and body. The URL lacks the provider's own parameters while
/// these are rendered.
pub(crate) struct Context<'a> {
    pub(crate) values: &'a RequestValues,
    pub(crate) variables: &'a Variables,
    pub(crate) request: &'a Request,
    pub(crate) url: &'a Url,
}

impl Context<'_> {
    /// Returns the value of a placeholder.
    ///
    /// `endpoint` is the request's path without its query, relative to the base URL; `path` is the full path of the URL. `params` and
    /// `bodyCanonicalParams` are the query and body parameters: sorted, percent-encoded, joined by `&`.
    pub(crate) fn lookup(&self, name: &str) -> Option<String> {
        let url = self.url;
        match name {
            "method" => Some(self.request.method.to_string()),
            "endpoint" => self.request.path.split('?').next().map(str::to_owned),
            "path" => Some(url.path().to_owned()),
            "host" => url.host_str().map(|host| match url.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            }),
            "params" => Some(canonical(url.query_pairs().into_owned().collect())),
            "bodyCanonicalParams" => Some(canonical(self.body_pairs())),
            _ => self.values.lookup(self.variables, name),
        }
    }

    /// Returns the fields of a form, or the plain ones of a JSON object.
    fn body_pairs(&self) -> Vec<(String, String)> {
        let body = self.request.body.as_deref().unwrap_or_default();
        if is_form(&self.request.headers) || is_form(&self.request.defaults) {
            return url::form_urlencoded::parse(body).into_owned().collect();
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => fields
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), json::plain(value)?)))
                .collect(),
            _ => Vec::new(),
        }
    }
}

fn canonical(mut pairs: Vec<(String, String)>) -> String {
    pairs.sort();
    let encoded = |text: &str| utf8_percent_encode(text, NOT_UNRESERVED).to_string();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect();
    pairs.join("&")
}
