//! The call of an action, and what becomes of its answer.

use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderName, HeaderValue};
use registry::{Action, ActionBody, JsonTemplate, Parameter, Template};
use serde_json::{Map, Value};

use crate::error::excerpt;
use crate::provider_error::blot;
use crate::target::add_headers;
use crate::{Answer, Call, CallError, Target, json};

/// Characters of a response's body that are quoted to the caller of an action.
const QUOTED: usize = 4_096;
/// Characters of each of its headers, and how many headers.
const QUOTED_HEADER: usize = 512;
const QUOTED_HEADERS: usize = 64;
/// Headers of an answer that are not quoted: they concern one hop, or would be taken for ours.
const NOT_QUOTED: [HeaderName; 5] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::SET_COOKIE,
    header::TRANSFER_ENCODING,
    header::WWW_AUTHENTICATE,
];

/// A call that did not succeed, with the provider's own answer.
#[derive(Debug)]
pub struct Refusal {
    /// Why.
    pub error: CallError,
    /// The answer, if there is one; without the connection's secrets should it echo them.
    pub answer: Option<Quoted>,
}

/// A provider's answer to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted {
    /// The HTTP status.
    pub status: u16,
    /// Its headers, in lower case; the first of each name, cut short.
    pub headers: Vec<(String, String)>,
    /// Its body: JSON, or text where it is something else or longer than 4,096 characters, then cut and ended with `…`.
    pub body: Value,
}

impl Quoted {
    pub(crate) fn read(target: &Target, answer: &Answer) -> Self {
        let text = blot(target, &String::from_utf8_lossy(&answer.body));
        let quoted = excerpt(&text, QUOTED);
        let body = if text.is_empty() {
            Value::Null
        } else if quoted != text {
            Value::String(quoted)
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(quoted))
        };
        let headers = answer.headers.keys();
        let headers =
            headers.filter(|name| !NOT_QUOTED.contains(name) && name.as_str().len() <= QUOTED_HEADER);
        let headers = headers.filter_map(|name| {
            let value = blot(target, answer.headers.get(name)?.to_str().ok()?);
            Some((name.as_str().to_owned(), excerpt(&value, QUOTED_HEADER)))
        });
        Self {
            status: answer.status,
            headers: headers.take(QUOTED_HEADERS).collect(),
            body,
        }
    }
}

impl CallError {
    /// Whether it is known that the provider carried nothing out, so that the call may be made again without harm.
    pub fn nothing_done(&self) -> bool {
        match self {
            Self::DeadlineExceeded { last, .. } => last.nothing_done(),
            // A redirect that could not be followed says nothing of what was done.
            Self::Provider(error) => {
                !error.carried_out && !(300..400).contains(&error.status) && error.status < 500 && error.status != 408
            }
            Self::NoMemory { sent } => !sent,
            Self::Broken { .. }
            | Self::TimedOut { .. }
            | Self::NotTaken { .. }
            | Self::Upload(_)
            | Self::TooLarge { .. }
            | Self::UnknownCoding { .. }
            | Self::Undecodable { .. }
            | Self::Moved { .. }
            | Self::NotJson { .. }
            // The first of them may be the answer to a call that was carried out.
            | Self::TooManyRedirects { .. } => false,
            Self::AddressRefused { .. }
            | Self::PlainHttp { .. }
            | Self::Unreachable { .. }
            | Self::Crowded { .. }
            | Self::Template(_)
            | Self::TextTooLong { .. }
            | Self::Integration { .. }
            | Self::OverrideNotAllowed { .. }
            | Self::BadUrl { .. }
            | Self::UnknownServer(_)
            | Self::BadHeader { .. }
            | Self::ForeignLink { .. }
            | Self::BadNext { .. }
            | Self::BadCursor => true,
        }
    }
}

impl Target {
    /// The call of an action with checked inputs.
    pub fn action_call(&self, action: &Action, inputs: &Map<String, Value>) -> Result<Call, CallError> {
        let filler = Filler { target: self, inputs };
        let lookup = |name: &str| filler.text(name);
        let request = &action.request;
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| CallError::BadUrl {
            problem: "the action's method is not one of HTTP".to_owned(),
        })?;
        let path = request.path.render_path(&lookup);
        let path = path.map_err(CallError::within(|| "the path".to_owned()))?;
        let mut call = Call::new(method, path);
        call.idempotent = action.repeatable;
        call.server.clone_from(&request.server);
        call.query = filler.pairs(&request.query, "query parameter")?;
        call.headers
            .insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let body = match &request.body {
            ActionBody::None => None,
            ActionBody::Form(form) => {
                let text = url::form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(filler.pairs(form, "form field")?)
                    .finish();
                Some(("application/x-www-form-urlencoded", text))
            }
            ActionBody::Json(json) => {
                let value = filler.json(json, "")?;
                let value = value.unwrap_or_else(|| Value::Object(Map::new()));
                Some(("application/json", value.to_string()))
            }
        };
        if let Some((kind, text)) = body {
            call.body = Some(Bytes::from(text));
            call.headers
                .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        add_headers(&mut call.headers, &request.headers, &lookup)?;
        Ok(call)
    }

    /// A template of an action with checked inputs, filled.
    pub fn action_text(&self, template: &Template, inputs: &Map<String, Value>) -> Result<String, CallError> {
        let filler = Filler { target: self, inputs };
        Ok(template.render(&|name| filler.text(name))?)
    }
}

/// What stands at a place of a provider's answer, outermost name first.
pub fn place<'a>(body: &'a Value, path: &[String]) -> Option<&'a Value> {
    json::at(body, path)
}

struct Filler<'a> {
    target: &'a Target,
    inputs: &'a Map<String, Value>,
}

impl Filler<'_> {
    fn input(&self, hole: &str) -> Option<&Value> {
        self.inputs.get(hole.strip_prefix("input.")?)
    }

    /// What fills a hole, as text; a list or an object as its JSON.
    fn text(&self, hole: &str) -> Option<String> {
        if hole.starts_with("input.") {
            let value = self.input(hole)?;
            return Some(json::plain(value).unwrap_or_else(|| value.to_string()));
        }
        self.target.variables.lookup(hole)
    }

    /// The parameters that have a value; one whose value is a list comes once for each of its texts. `kind` names them in errors.
    fn pairs(&self, parameters: &[Parameter], kind: &str) -> Result<Vec<(String, String)>, CallError> {
        let mut pairs = Vec::new();
        for parameter in parameters {
            if parameter
                .with
                .as_ref()
                .is_some_and(|with| !self.inputs.contains_key(with))
            {
                continue;
            }
            let whole = parameter.value.only_hole().and_then(|hole| self.input(hole));
            if let Some(Value::Array(items)) = whole {
                let texts = items
                    .iter()
                    .map(|item| json::plain(item).unwrap_or_else(|| item.to_string()));
                pairs.extend(texts.map(|text| (parameter.name.clone(), text)));
                continue;
            }
            let text = parameter.value.render_if_filled(&|name| self.text(name));
            let text = text.map_err(CallError::within(|| format!("the {kind} {:?}", parameter.name)))?;
            pairs.extend(text.map(|text| (parameter.name.clone(), text)));
        }
        Ok(pairs)
    }

    /// The JSON with its holes filled, `None` if nothing is left of it. `at` is its place in the body, such as `/items/0`.
    fn json(&self, template: &JsonTemplate, at: &str) -> Result<Option<Value>, CallError> {
        Ok(match template {
            JsonTemplate::Plain(value) => Some(value.clone()),
            JsonTemplate::Text(text) => {
                if let Some(hole) = text.only_hole().filter(|hole| hole.starts_with("input.")) {
                    self.input(hole).cloned()
                } else {
                    let text = text.render_if_filled(&|name| self.text(name));
                    let part = || format!("the value at {at:?} of the body");
                    text.map_err(CallError::within(part))?.map(Value::String)
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
