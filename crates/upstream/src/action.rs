//! The requests of actions, and a provider's response as the caller of an action sees it.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderName, HeaderValue};
use indexmap::IndexMap;
use registry::{Action, ActionRequest, JsonTemplate, Parameter, ParameterValue, Template};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::request::add_headers;
use crate::{Request, RequestError, Response, Target, excerpt, json};

/// Characters of a response's body that are quoted to the caller of an action.
const QUOTED: usize = 4_096;
/// Characters of each quoted header, and the most headers that are quoted.
const QUOTED_HEADER: usize = 512;
const QUOTED_HEADERS: usize = 64;
/// Headers of a response that are not quoted: hop-by-hop headers, and those that clients would take for our own.
const NOT_QUOTED: [HeaderName; 5] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::SET_COOKIE,
    header::TRANSFER_ENCODING,
    header::WWW_AUTHENTICATE,
];

/// A request that did not succeed, with the provider's own response.
#[derive(Debug)]
pub struct FailedRequest {
    /// Why it failed.
    pub error: RequestError,
    /// The response, if there is one; without the connection's secrets should it echo them.
    pub response: Option<QuotedResponse>,
}

impl From<RequestError> for FailedRequest {
    fn from(error: RequestError) -> Self {
        Self {
            error,
            response: None,
        }
    }
}

/// A provider's response, shortened and without secrets, as shown to callers and stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotedResponse {
    /// The HTTP status.
    pub status: u16,
    /// Its headers, in lower case; the first of each name, cut short.
    pub headers: BTreeMap<String, String>,
    /// Its body: JSON; or text if it is not JSON or longer than 4,096 characters, cut there and ended with `…`.
    pub body: Value,
}

/// Shows the status and the length of the body's JSON: headers and the body may contain personal data.
impl fmt::Debug for QuotedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuotedResponse")
            .field("status", &self.status)
            .field("bytes", &self.body.to_string().len())
            .finish_non_exhaustive()
    }
}

impl QuotedResponse {
    pub(crate) fn read(target: &Target, response: &Response) -> Self {
        let text = target.without_secrets(&String::from_utf8_lossy(&response.body));
        let quoted = excerpt(&text, QUOTED);
        let body = if text.is_empty() {
            Value::Null
        } else if quoted != text {
            Value::String(quoted)
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(quoted))
        };
        let headers = response.headers.keys();
        let headers =
            headers.filter(|name| !NOT_QUOTED.contains(name) && name.as_str().len() <= QUOTED_HEADER);
        let headers = headers.filter_map(|name| {
            let value = target.without_secrets(response.headers.get(name)?.to_str().ok()?);
            Some((name.as_str().to_owned(), excerpt(&value, QUOTED_HEADER)))
        });
        Self {
            status: response.status,
            headers: headers.take(QUOTED_HEADERS).collect(),
            body,
        }
    }
}

impl Target {
    /// Makes the request of an action with checked inputs.
    pub fn action_request(
        &self,
        action: &Action,
        inputs: &Map<String, Value>,
    ) -> Result<Request, RequestError> {
        self.request_of(&action.request, action.repeatable, inputs)
    }

    /// Makes a request that a provider's file declares, with checked inputs. `repeatable` says whether sending it twice has the same effect
    /// as once.
    pub fn request_of(
        &self,
        declared: &ActionRequest,
        repeatable: bool,
        inputs: &Map<String, Value>,
    ) -> Result<Request, RequestError> {
        let filler = Filler { target: self, inputs };
        let lookup = |name: &str| filler.text(name);
        let method = Method::from_bytes(declared.method.as_str().as_bytes())
            .map_err(|_| RequestError::BadUrl("the action's method is not one of HTTP".to_owned()))?;
        let path = declared.path.render_path(&lookup);
        let path = path.map_err(RequestError::within(|| "the path".to_owned()))?;
        let mut request = Request::new(method, path);
        request.idempotent = repeatable;
        request.server.clone_from(&declared.server);
        request.query = filler.pairs(&declared.query, "query parameter")?;
        request
            .headers
            .insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let body = match (&declared.form, &declared.json) {
            (None, None) => None,
            (Some(form), _) => {
                let text = url::form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(filler.pairs(form, "form field")?)
                    .finish();
                Some(("application/x-www-form-urlencoded", text))
            }
            (None, Some(json)) => {
                let value = filler.json(json, "")?;
                let value = value.unwrap_or_else(|| Value::Object(Map::new()));
                Some(("application/json", value.to_string()))
            }
        };
        if let Some((kind, text)) = body {
            request.body = Some(Bytes::from(text));
            request
                .headers
                .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        add_headers(&mut request.headers, &declared.headers, &lookup)?;
        Ok(request)
    }

    /// Renders a template of an action with checked inputs.
    pub fn action_text(
        &self,
        template: &Template,
        inputs: &Map<String, Value>,
    ) -> Result<String, RequestError> {
        let filler = Filler { target: self, inputs };
        Ok(template.render(&|name| filler.text(name))?)
    }
}

struct Filler<'a> {
    target: &'a Target,
    inputs: &'a Map<String, Value>,
}

impl Filler<'_> {
    /// Returns the value of an input, or what a subscription has kept.
    fn value(&self, placeholder: &str) -> Option<&Value> {
        match placeholder.split_once('.')? {
            ("input", name) => self.inputs.get(name),
            ("subscription", name) => self.target.variables.subscription.values.get(name),
            _ => None,
        }
    }

    /// Returns the value of a placeholder as text; a list or an object as its JSON.
    fn text(&self, placeholder: &str) -> Option<String> {
        if placeholder.starts_with("input.") {
            let value = self.value(placeholder)?;
            return Some(json::plain(value).unwrap_or_else(|| value.to_string()));
        }
        self.target.variables.lookup(placeholder)
    }

    /// Renders the parameters that have a value; one whose value is a list is repeated for each item. `kind` names them in errors.
    fn pairs(
        &self,
        parameters: &IndexMap<String, Parameter>,
        kind: &str,
    ) -> Result<Vec<(String, String)>, RequestError> {
        let mut pairs = Vec::new();
        for (name, parameter) in parameters {
            for ParameterValue { value, with, unless } in &parameter.0 {
                let given = |input: &String| self.inputs.contains_key(input);
                if with.as_ref().is_some_and(|with| !given(with)) || unless.iter().any(given) {
                    continue;
                }
                let whole = value.only_placeholder().and_then(|name| self.value(name));
                if let Some(Value::Array(items)) = whole {
                    let texts = items
                        .iter()
                        .map(|item| json::plain(item).unwrap_or_else(|| item.to_string()));
                    pairs.extend(texts.map(|text| (name.clone(), text)));
                    continue;
                }
                let text = value.render_if_filled(&|name| self.text(name));
                let text = text.map_err(RequestError::within(|| format!("the {kind} {name:?}")))?;
                pairs.extend(text.map(|text| (name.clone(), text)));
            }
        }
        Ok(pairs)
    }

    /// Renders JSON; returns `None` if nothing is left of it. `at` is its place in the body, such as `/items/0`.
    fn json(&self, template: &JsonTemplate, at: &str) -> Result<Option<Value>, RequestError> {
        Ok(match template {
            JsonTemplate::Plain(value) => Some(value.clone()),
            JsonTemplate::Text(text) => {
                if let Some(value) = text.only_placeholder().and_then(|name| self.value(name)) {
                    Some(value.clone())
                } else {
                    let text = text.render_if_filled(&|name| self.text(name));
                    let part = || format!("the value at {at:?} of the body");
                    text.map_err(RequestError::within(part))?.map(Value::String)
                }
            }
            JsonTemplate::List(templates) => {
                let mut items = Vec::new();
                for (index, item) in templates.iter().enumerate() {
                    items.extend(self.json(item, &format!("{at}/{index}"))?);
                }
                (!items.is_empty()).then_some(Value::Array(items))
            }
            JsonTemplate::Map(entries) => {
                let mut object = Map::new();
                for (key, value) in entries {
                    if let Some(value) = self.json(value, &format!("{at}/{key}"))? {
                        object.insert(key.clone(), value);
                    }
                }
                (!object.is_empty() || entries.is_empty()).then_some(Value::Object(object))
            }
        })
    }
}
