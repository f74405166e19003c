//! How a list goes on.
//!
//! A cursor is stored, so it never holds the provider's own parameters, which may be keys; they are added again when it is sent.

use registry::{ListEnd, OffsetStep, Paginate};
use reqwest::header::{self, HeaderMap};
use serde_json::Value;
use url::Url;

use crate::request::{file_url, leading_path, own_parameters, remove_named};
use crate::{Call, CallError, Target, Upstream, json};

/// What comes after a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A cursor to store and to hand to [`Upstream::resume`]: a link below the server (or a whole one, if it leads to another server
    /// of the provider), a token, or an offset.
    Page(String),
    /// Nothing.
    End,
}

/// What was seen of a page.
#[derive(Debug, Clone, Copy)]
pub struct PageSeen<'a> {
    /// The answer's body; its records are not looked at.
    pub envelope: &'a Value,
    /// The answer's headers.
    pub headers: &'a HeaderMap,
    /// How many records it held.
    pub records: usize,
    /// The last record's value of the field that [`Paginate::Cursor`] names in `last_key`.
    pub last_record_key: Option<&'a str>,
}

/// The first page's call: `call` with the page size and the first offset that the file asks for.
pub fn first_page(paginate: &Paginate, mut call: Call) -> Call {
    if let Paginate::Offset {
        parameter,
        start,
        limit,
        limit_parameter,
        ..
    } = paginate
    {
        let size = limit_parameter.as_ref().zip(*limit);
        for (name, value) in size.into_iter().chain([(parameter, *start)]) {
            if parameter_of(&call, name).is_none() {
                call.query.push((name.clone(), value.to_string()));
            }
        }
    }
    call
}

impl Upstream {
    /// What comes after the page that `call` read. A link that leads away from the provider's servers is
    /// [`CallError::ForeignLink`]; one that leads back to the same page is [`CallError::PageRepeats`].
    pub fn next(
        &self,
        target: &Target,
        paginate: &Paginate,
        call: &Call,
        page: &PageSeen<'_>,
    ) -> Result<Next, CallError> {
        match paginate {
            Paginate::Link { end, .. } | Paginate::Cursor { end, .. } if ended(end, page) => Ok(Next::End),
            Paginate::Link {
                body,
                header_rel,
                header_more,
                ..
            } => {
                let in_body = body
                    .as_ref()
                    .and_then(|path| json::at(page.envelope, path))
                    .and_then(Value::as_str);
                let in_header = || {
                    let rel = header_rel.as_ref()?;
                    header_link(page.headers, rel, header_more.as_deref())
                };
                match in_body.or_else(in_header).filter(|link| !link.is_empty()) {
                    Some(link) => self.next_link(target, call, link),
                    None => Ok(Next::End),
                }
            }
            Paginate::Cursor { parameter, body, .. } => {
                let token = match body {
                    Some(path) => json::at(page.envelope, path).and_then(json::plain),
                    None => page.last_record_key.map(str::to_owned),
                };
                match token.filter(|token| !token.is_empty()) {
                    Some(token) if parameter_of(call, parameter) == Some(&token) => {
                        Err(CallError::PageRepeats)
                    }
                    Some(token) => Ok(Next::Page(token)),
                    None => Ok(Next::End),
                }
            }
            Paginate::Offset {
                parameter,
                start,
                step,
                limit,
                ..
            } => {
                let records = u64::try_from(page.records).unwrap_or(u64::MAX);
                if records == 0 || limit.is_some_and(|limit| records < limit) {
                    return Ok(Next::End);
                }
                let here = parameter_of(call, parameter)
                    .and_then(|value| value.parse().ok())
                    .unwrap_or(*start);
                let by = match step {
                    OffsetStep::Records => records,
                    OffsetStep::Pages => 1,
                };
                Ok(Next::Page(here.saturating_add(by).to_string()))
            }
        }
    }

    /// The call that reads the page at `cursor`; `first` is the first page's call.
    pub fn resume(
        &self,
        target: &Target,
        paginate: &Paginate,
        first: &Call,
        cursor: &str,
    ) -> Result<Call, CallError> {
        let mut call = first.clone();
        match paginate {
            Paginate::Link { .. } => {
                call.query.clear();
                if cursor.starts_with('/') {
                    cursor.clone_into(&mut call.path);
                } else {
                    let link = Url::parse(cursor).map_err(|_| CallError::BadCursor)?;
                    (call.server, call.path) = self.place_of(target, first, &link)?;
                }
            }
            Paginate::Offset { .. } if cursor.parse::<u64>().is_err() => return Err(CallError::BadCursor),
            Paginate::Cursor { parameter, .. } | Paginate::Offset { parameter, .. } => {
                call.query.retain(|(name, _)| name != parameter);
                call.query.push((parameter.clone(), cursor.to_owned()));
            }
        }
        Ok(call)
    }

    fn next_link(&self, target: &Target, call: &Call, link: &str) -> Result<Next, CallError> {
        let here = self.url_of(target, call)?;
        let mut link = here.join(link).map_err(|error| CallError::BadUrl {
            problem: error.to_string(),
        })?;
        link.set_fragment(None);
        remove_named(&mut link, &own_parameters(target));
        let (server, path) = self.place_of(target, call, &link)?;
        if link == here {
            return Err(CallError::PageRepeats);
        }
        Ok(Next::Page(if server == call.server { path } else { link.into() }))
    }

    /// The server of the provider that `link` leads to, and path and query below it. The call's own server is looked at first. The
    /// address of the file counts beside an override's, for a recording proxy hands on what the provider says about itself.
    fn place_of(
        &self,
        target: &Target,
        call: &Call,
        link: &Url,
    ) -> Result<(Option<String>, String), CallError> {
        let servers = [call.server.as_deref(), None].into_iter();
        for server in servers.chain(target.provider.servers.keys().map(|name| Some(name.as_str()))) {
            for base in [self.base_url(target, server), file_url(target, server)]
                .into_iter()
                .flatten()
            {
                let below = link
                    .path()
                    .strip_prefix(leading_path(&base))
                    .filter(|rest| rest.starts_with('/'));
                if let Some(rest) = below.filter(|_| base.origin() == link.origin()) {
                    let query = link.query().map(|query| format!("?{query}")).unwrap_or_default();
                    return Ok((server.map(str::to_owned), format!("{rest}{query}")));
                }
            }
        }
        Err(CallError::ForeignLink {
            host: link.host_str().unwrap_or_default().to_owned(),
        })
    }
}

/// Whether the answer says, in one of the ways that the file knows, that nothing follows.
fn ended(end: &ListEnd, page: &PageSeen<'_>) -> bool {
    let says_true = |path: &Vec<String>| json::at(page.envelope, path) == Some(&Value::Bool(true));
    end.unless.as_ref().is_some_and(|path| !says_true(path))
        || end.when.as_ref().is_some_and(says_true)
        || end.empty_page && page.records == 0
}

fn parameter_of<'a>(call: &'a Call, parameter: &str) -> Option<&'a String> {
    call.query
        .iter()
        .find(|(name, _)| name == parameter)
        .map(|(_, value)| value)
}

/// The target of a relation in the `Link` headers (RFC 8288), if its parameter `more` says `true`.
fn header_link<'a>(headers: &'a HeaderMap, rel: &str, more: Option<&str>) -> Option<&'a str> {
    let values = headers
        .get_all(header::LINK)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let (link, parameters) = values
        .flat_map(|value| value.split('<').skip(1))
        .filter_map(|link| link.split_once('>'))
        .find(|(_, parameters)| has_word(parameters, "rel", rel))?;
    more.is_none_or(|more| has_word(parameters, more, "true"))
        .then_some(link)
}

/// Whether a link's parameter `name` holds `word`.
fn has_word(parameters: &str, name: &str, word: &str) -> bool {
    parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='))
        .filter(|(named, _)| named.trim().eq_ignore_ascii_case(name))
        .any(|(_, value)| {
            value
                .trim_matches([' ', ',', '"'])
                .split_whitespace()
                .any(|found| found.eq_ignore_ascii_case(word))
        })
}
