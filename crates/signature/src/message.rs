//! A request of a provider, and the events that it brings.

use std::cell::OnceCell;
use std::fmt;

use registry::webhooks::Challenge;
use registry::{Template, Webhooks};
use secrecy::SecretString;
use serde_json::{Map, Value as Json};
use url::form_urlencoded;

use crate::headers::Headers;

/// The most parameters of a form or a query, and the most events of one request.
pub(crate) const MOST_PARAMETERS: usize = 1_000;
const MOST_EVENTS: usize = 10_000;
/// The longest text that a template makes of a request, in bytes.
const LONGEST_TEXT: usize = 4_096;

/// A request as it arrived.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The method in capital letters.
    pub method: &'a str,
    /// The URL under which the provider reached us, as text: made from the configured public URL, and path and query as they arrived.
    pub url: &'a str,
    /// The headers.
    pub headers: &'a Headers,
    /// The raw body.
    pub body: &'a [u8],
}

/// A request of a provider whose parts can be named by placeholders.
pub struct Message<'a> {
    pub(crate) request: Request<'a>,
    json: OnceCell<Option<Json>>,
    form: OnceCell<Option<Vec<(String, String)>>>,
}

/// One event of a request.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    message: &'a Message<'a>,
    json: Option<&'a Json>,
}

/// What a challenge asks for.
#[derive(Debug)]
pub struct ChallengeResponse {
    /// The body of the response; empty if only a secret was brought.
    pub body: String,
    /// Its content type.
    pub content_type: &'static str,
    /// The secret that the request brought. Keep it only if the request came to a connection's own address, and if the subscription
    /// has none yet.
    pub secret: Option<SecretString>,
}

impl<'a> Message<'a> {
    /// Reads nothing yet: each part of the request is read when it is first needed.
    pub const fn new(request: Request<'a>) -> Self {
        Self {
            request,
            json: OnceCell::new(),
            form: OnceCell::new(),
        }
    }

    /// Returns the request.
    pub const fn request(&self) -> &Request<'a> {
        &self.request
    }

    /// Renders a template of the file over the request. For `${event.…}`, the first event counts. Returns `None` if a part is missing,
    /// and for a text that is empty or longer than 4,096 bytes.
    pub fn text(&self, template: &Template) -> Option<String> {
        let json = self.json().and_then(first);
        Event { message: self, json }.text(template)
    }

    /// Returns the events of the request, at most 10,000; the whole body if it is no list and the file names none.
    pub fn events(&'a self, webhooks: &Webhooks) -> Vec<Event<'a>> {
        let body = self.json();
        let list = match &webhooks.batch {
            Some(path) => body.and_then(|body| find(body, path.iter().map(String::as_str))),
            None => body,
        };
        match list {
            Some(Json::Array(items)) => {
                let items = items.iter().take(MOST_EVENTS);
                items
                    .map(|item| Event {
                        message: self,
                        json: Some(item),
                    })
                    .collect()
            }
            _ => vec![Event {
                message: self,
                json: body,
            }],
        }
    }

    /// Returns what the response must have, if the request is one of the file's challenges.
    pub fn challenge(&self, webhooks: &Webhooks) -> Option<ChallengeResponse> {
        webhooks
            .challenges
            .iter()
            .find_map(|challenge| self.respond(challenge))
    }

    fn respond(&self, challenge: &Challenge) -> Option<ChallengeResponse> {
        let secret = match &challenge.secret {
            Some(secret) => Some(self.text(secret)?.into()),
            None => None,
        };
        let (body, content_type) = match (&challenge.echo, &challenge.json) {
            (Some(echo), _) => (self.text(echo)?, "text/plain; charset=utf-8"),
            (None, Some(json)) => {
                let filled = |name: &&str| self.lookup(name, None).is_some();
                if !json.placeholders().iter().all(filled) {
                    return None;
                }
                let json = json.render(&|name| self.lookup(name, None)).ok()?;
                (json.to_string(), "application/json")
            }
            (None, None) => (String::new(), "text/plain; charset=utf-8"),
        };
        Some(ChallengeResponse {
            body,
            content_type,
            secret,
        })
    }

    /// Returns a part of the request by its placeholder.
    pub(crate) fn lookup(&self, name: &str, event: Option<&Json>) -> Option<String> {
        match name.split_once('.') {
            None if name == "method" => Some(self.request.method.to_owned()),
            Some(("header", name)) => self.request.headers.get(name).map(str::to_owned),
            Some(("query", name)) => self.query(name),
            Some(("body", path)) => text_of(find(self.json()?, path.split('.'))?),
            Some(("event", path)) => text_of(find(event?, path.split('.'))?),
            _ => None,
        }
    }

    /// Returns a parameter of the query, if it is there once.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.request.url.split_once('?')?;
        let pairs = form_urlencoded::parse(query.as_bytes()).take(MOST_PARAMETERS);
        let mut values = pairs.filter(|(known, _)| known == name).map(|(_, value)| value);
        let first = values.next()?;
        values.next().is_none().then(|| first.into_owned())
    }

    /// Returns the parameters of the body if it is a form, at most one more than the limit.
    pub(crate) fn form(&self) -> Option<&[(String, String)]> {
        let read = || {
            let kind = self.request.headers.get("content-type")?;
            let kind = kind.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
                .then(|| {
                    let pairs = form_urlencoded::parse(self.request.body);
                    let pairs = pairs.take(MOST_PARAMETERS.saturating_add(1));
                    pairs
                        .map(|(name, value)| (name.into_owned(), value.into_owned()))
                        .collect()
                })
        };
        self.form.get_or_init(read).as_deref()
    }

    /// Returns the body as JSON; a form as an object, in which a name that has several values is a list.
    pub fn json(&self) -> Option<&Json> {
        let read = || match self.form() {
            Some(pairs) => Some(object(pairs)),
            None => serde_json::from_slice(self.request.body).ok(),
        };
        self.json.get_or_init(read).as_ref()
    }
}

impl<'a> Event<'a> {
    /// Renders a template of the file over this event and its request. Returns `None` if a part is missing, and for a text that is empty or
    /// longer than 4,096 bytes.
    pub fn text(&self, template: &Template) -> Option<String> {
        let text = template
            .render(&|name| self.message.lookup(name, self.json))
            .ok()?;
        (!text.is_empty() && text.len() <= LONGEST_TEXT).then_some(text)
    }

    /// Returns the event as JSON; `None` if the body is neither JSON nor a form.
    pub const fn json(&self) -> Option<&'a Json> {
        self.json
    }

    /// Returns the value at a path of the event: names and list positions.
    pub fn find(&self, path: &[String]) -> Option<&'a Json> {
        find(self.json?, path.iter().map(String::as_str))
    }
}

fn first(body: &Json) -> Option<&Json> {
    match body {
        Json::Array(items) => items.first(),
        body => Some(body),
    }
}

fn find<'a, 'p>(json: &'a Json, path: impl Iterator<Item = &'p str>) -> Option<&'a Json> {
    let mut found = json;
    for step in path {
        found = match found {
            Json::Object(fields) => fields.get(step)?,
            Json::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(found)
}

/// Returns a text, number or boolean as text, with a number's digits as they were sent.
fn text_of(json: &Json) -> Option<String> {
    match json {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(value) => Some(value.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

fn object(pairs: &[(String, String)]) -> Json {
    let mut object = Map::new();
    for (name, value) in pairs {
        let value = Json::String(value.clone());
        match object.get_mut(name) {
            None => drop(object.insert(name.clone(), value)),
            Some(Json::Array(values)) => values.push(value),
            // The order of values that differ is not always signed, so none of them is the value.
            Some(first) => *first = Json::Array(vec![first.take(), value]),
        }
    }
    Json::Object(object)
}

impl fmt::Debug for Message<'_> {
    /// Shows the method and the size: the URL may have a secret in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Message({}, {} bytes)",
            self.request.method,
            self.request.body.len()
        )
    }
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event of {:?}", self.message)
    }
}
