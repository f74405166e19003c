//! How a list goes on.
//!
//! A cursor is stored, so it never holds the provider's own parameters, which may be keys; they are added again when it is sent.

use http::header::HeaderMap;
use registry::{OffsetStep, PageBy, Paginate};
use serde_json::Value;
use url::Url;

use crate::list_end::{self, Doubt, End, Sign};
use crate::request::{file_url, leading_path, own_parameters, remove_named};
use crate::{Call, CallError, Target, Upstream, json, link_header};

/// What comes after a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A cursor to store and to hand to [`Upstream::resume`]: a link below the server (or a whole one, if it leads to another server
    /// of the provider), a token, or an offset.
    Page(String),
    /// Nothing.
    End(End),
    /// The page just read once more, by which some providers say that it was the last one.
    Again(End),
}

/// What was seen of a page, and of the list before it.
#[derive(Debug, Clone, Copy)]
pub struct PageSeen<'a> {
    /// The response's body; its records are not looked at.
    pub envelope: &'a Value,
    /// The response's headers.
    pub headers: &'a HeaderMap,
    /// How many records it held.
    pub records: usize,
    /// The last readable record's value of the field that [`PageBy::Cursor`] names in `last_key`.
    pub last_record_key: Option<&'a str>,
    /// Pages of the list read so far, this one among them.
    pub pages: u64,
    /// Records of the list read so far, those of this page among them; `None` if it was not read from its beginning.
    pub read: Option<u64>,
}

/// Returns the first page's call: `call` with the page size and the first offset that the file asks for.
pub fn first_page(paginate: &Paginate, mut call: Call) -> Call {
    if let PageBy::Offset {
        parameter,
        start,
        limit_parameter,
        ..
    } = &paginate.by
    {
        let size = limit_parameter.as_ref().zip(paginate.limit);
        for (name, value) in size.into_iter().chain([(parameter, *start)]) {
            if parameter_of(&call, name).is_none() {
                call.query.push((name.clone(), value.to_string()));
            }
        }
    }
    call
}

impl Upstream {
    /// Returns what comes after the page that `call` read.
    ///
    /// A link that leads away from the provider's servers is [`CallError::ForeignLink`]; something that is neither a link or token nor
    /// its absence is [`CallError::BadNext`]. The link or token that was just used is [`Next::Again`].
    pub fn next(
        &self,
        target: &Target,
        paginate: &Paginate,
        call: &Call,
        page: &PageSeen<'_>,
    ) -> Result<Next, CallError> {
        let sign = list_end::sign(&paginate.end, page);
        let end = || Ok(Next::End(list_end::end(paginate, sign, page)));
        let (following, sign) = match &paginate.by {
            _ if sign == Sign::Ended => return end(),
            PageBy::Nothing => return end(),
            PageBy::Link {
                body,
                header_rel,
                header_more,
            } => {
                let in_body = match body {
                    Some(path) => next_at(page.envelope, path, false)?,
                    None => None,
                };
                let (link, sign) = match (in_body, header_rel) {
                    (None, Some(rel)) => in_header(page.headers, rel, header_more.as_deref(), sign)?,
                    (in_body, _) => (in_body, sign),
                };
                if sign == Sign::Ended {
                    return Ok(Next::End(list_end::end(paginate, sign, page)));
                }
                let link = link.filter(|link| !link.is_empty());
                match link.map(|link| self.next_link(target, call, &link)).transpose()? {
                    Some(None) => return Ok(Next::Again(list_end::end(paginate, sign, page))),
                    link => (link.flatten(), sign),
                }
            }
            PageBy::Cursor {
                parameter,
                body,
                last_key,
            } => {
                let token = match body {
                    Some(path) => next_at(page.envelope, path, true)?,
                    None => page.last_record_key.map(str::to_owned),
                };
                if let (None, None, Some(key)) = (body, &token, last_key)
                    && page.records > 0
                {
                    return Ok(Next::End(End::Unproved(Doubt::NoLastKey(key.clone()))));
                }
                let token = token.filter(|token| !token.is_empty());
                if token.is_some() && parameter_of(call, parameter) == token.as_ref() {
                    return Ok(Next::Again(list_end::end(paginate, sign, page)));
                }
                (token, sign)
            }
            PageBy::Offset {
                parameter,
                start,
                step,
                max_offset,
                ..
            } => {
                let records = u64::try_from(page.records).unwrap_or(u64::MAX);
                let by = match step {
                    OffsetStep::Records => records,
                    // Where the provider says that more follows, an empty page is not the end.
                    OffsetStep::Pages => u64::from(records > 0 || sign == Sign::More),
                };
                // A short page may have records behind it, unless a total says that these are all.
                if by == 0
                    || short(paginate, page) && sign != Sign::More && list_end::all_read(paginate, page)
                {
                    return end();
                }
                let here = parameter_of(call, parameter).and_then(|value| value.parse().ok());
                let offset = here.unwrap_or(*start).saturating_add(by);
                if max_offset.is_some_and(|max| offset > max) {
                    return Ok(Next::End(End::Unproved(Doubt::Cap { pages: page.pages })));
                }
                (Some(offset.to_string()), sign)
            }
        };
        let capped = paginate.max_pages.is_some_and(|max| page.pages >= max);
        let cap = Next::End(End::Unproved(Doubt::Cap { pages: page.pages }));
        match following {
            Some(_) if capped => Ok(cap),
            Some(cursor) => Ok(Next::Page(cursor)),
            // Some providers name no next page where they stop.
            None if capped
                && sign == Sign::Undeclared
                && paginate.end.total.is_none()
                && !short(paginate, page) =>
            {
                Ok(cap)
            }
            None => Ok(Next::End(list_end::end(paginate, sign, page))),
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
        match &paginate.by {
            PageBy::Nothing => return Err(CallError::BadCursor),
            PageBy::Link { .. } => {
                call.query.clear();
                if cursor.starts_with('/') {
                    cursor.clone_into(&mut call.path);
                } else {
                    let link = Url::parse(cursor).map_err(|_| CallError::BadCursor)?;
                    (call.server, call.path) = self.place_of(target, first, &link)?;
                }
            }
            PageBy::Offset { .. } if cursor.parse::<u64>().is_err() => return Err(CallError::BadCursor),
            PageBy::Cursor { parameter, .. } | PageBy::Offset { parameter, .. } => {
                call.query.retain(|(name, _)| name != parameter);
                call.query.push((parameter.clone(), cursor.to_owned()));
            }
        }
        Ok(call)
    }

    /// The cursor for a link; `None` if it leads to the page of `call` again.
    fn next_link(&self, target: &Target, call: &Call, link: &str) -> Result<Option<String>, CallError> {
        let here = self.url_of(target, call)?;
        let mut link = here.join(link).map_err(|error| CallError::BadUrl {
            problem: error.to_string(),
        })?;
        link.set_fragment(None);
        remove_named(&mut link, &own_parameters(target));
        let (server, path) = self.place_of(target, call, &link)?;
        if same_page(&link, here) {
            return Ok(None);
        }
        Ok(Some(if server == call.server { path } else { link.into() }))
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

/// The link or token at `path`; `None` if there is none. A link must be text, a token may be a number.
fn next_at(envelope: &Value, path: &[String], token: bool) -> Result<Option<String>, CallError> {
    let mut value = envelope;
    for name in path {
        value = match value {
            Value::Null => return Ok(None),
            Value::Object(_) | Value::Array(_) => match json::at(value, std::slice::from_ref(name)) {
                Some(inner) => inner,
                None => return Ok(None),
            },
            other => return Err(bad_next(path, other)),
        };
    }
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Value::Number(number) if token => Ok(Some(number.to_string())),
        other => Err(bad_next(path, other)),
    }
}

fn bad_next(path: &[String], found: &Value) -> CallError {
    CallError::BadNext {
        place: path.join("."),
        found: match found {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        },
    }
}

/// The link of a relation in the `Link` headers, and what its parameter `more` says about the end.
fn in_header(
    headers: &HeaderMap,
    rel: &str,
    more: Option<&str>,
    sign: Sign,
) -> Result<(Option<String>, Sign), CallError> {
    let unreadable = |_| CallError::BadNext {
        place: "the Link header".to_owned(),
        found: "text that is no Link header",
    };
    let link = link_header::find(headers, rel).map_err(unreadable)?;
    let sign = match (more, &link) {
        (None, _) => sign,
        (Some(more), link) => match link.as_ref().and_then(|link| link.parameter(more)) {
            Some(word) if word.eq_ignore_ascii_case("true") => Sign::More,
            Some(word) if word.eq_ignore_ascii_case("false") => Sign::Ended,
            _ => Sign::Missing("link_more_in_response_header"),
        },
    };
    Ok((link.map(|link| link.target), sign))
}

/// Whether two addresses differ in the spelling of their query at most.
fn same_page(one: &Url, mut other: Url) -> bool {
    let sorted = |url: &Url| {
        let mut pairs: Vec<_> = url.query_pairs().into_owned().collect();
        pairs.sort();
        pairs
    };
    other.set_fragment(None);
    one.origin() == other.origin() && one.path() == other.path() && sorted(one) == sorted(&other)
}

/// Whether a page has fewer records than were requested, or nobody knows how many that was.
fn short(paginate: &Paginate, page: &PageSeen<'_>) -> bool {
    let records = u64::try_from(page.records).unwrap_or(u64::MAX);
    paginate.limit.is_none_or(|limit| records < limit)
}

fn parameter_of<'a>(call: &'a Call, parameter: &str) -> Option<&'a String> {
    call.query
        .iter()
        .find(|(name, _)| name == parameter)
        .map(|(_, value)| value)
}
