//! Pagination: the request for the first page, what comes after a page, and the request for a page at a cursor.
//!
//! A new style is a variant of [`PageBy`], with an arm in each of `next_page` and `page_request`, and one in `first_page` if the first
//! request has a position. A cursor is stored, so it never holds the provider's own parameters, which may be keys; they are added again
//! when the request is sent.

use http::header::HeaderMap;
use registry::{OffsetStep, PageBy, Paginate};
use serde_json::Value;
use url::Url;

use crate::list_end::{self, Sign};
use crate::prepare::is_own_parameter;
use crate::servers::{base_url, file_url, leading_path, remove_parameters, request_url};
use crate::{End, IncompleteReason, PageInfo, Request, RequestError, Target, Upstream, json, link_header};

/// What comes after a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The cursor of the next page, for [`Upstream::page_request`]: a link below the server (or a whole one, if it leads to another server
    /// of the provider), a token, or an offset.
    Page(String),
    /// No page.
    End(End),
    /// The page just read again, by which some providers say that it was the last one.
    Again(End),
}

/// What a page says about the next one.
enum Found {
    /// Its cursor.
    Page(String),
    /// The link or token of the page itself.
    SamePage,
    /// No next page is named.
    Nothing,
    /// The end of the list.
    End,
    /// There may be one, but it cannot be requested.
    Unproved(IncompleteReason),
}

/// Returns the request for the first page: `request` with the page size and the first offset of the provider's file.
pub fn first_page(paginate: &Paginate, mut request: Request) -> Request {
    if let PageBy::Offset {
        parameter,
        start,
        limit_parameter,
        ..
    } = &paginate.by
    {
        let size = limit_parameter.as_ref().zip(paginate.limit);
        for (name, value) in size.into_iter().chain([(parameter, *start)]) {
            if parameter_of(&request, name).is_none() {
                request.query.push((name.clone(), value.to_string()));
            }
        }
    }
    request
}

impl Upstream {
    /// Returns what comes after the page that `request` read.
    ///
    /// A link that leads away from the provider's servers is [`RequestError::ForeignLink`]; something that is neither a link or token nor
    /// its absence is [`RequestError::BadNext`]. The link or token that was just used is [`Next::Again`].
    pub fn next_page(
        &self,
        target: &Target,
        paginate: &Paginate,
        request: &Request,
        page: &PageInfo<'_>,
    ) -> Result<Next, RequestError> {
        let mut sign = list_end::sign(&paginate.end, page);
        let found = match &paginate.by {
            _ if sign == Sign::Ended => Found::End,
            PageBy::Nothing => Found::End,
            PageBy::Link {
                body,
                header_rel,
                header_more,
            } => {
                let mut link = match body {
                    Some(path) => next_at(page.envelope, path, false)?,
                    None => None,
                };
                if let (None, Some(rel)) = (&link, header_rel) {
                    (link, sign) = in_header(page.headers, rel, header_more.as_deref(), sign)?;
                }
                match link.filter(|link| !link.is_empty()) {
                    _ if sign == Sign::Ended => Found::End,
                    Some(link) => self
                        .next_link(target, request, &link)?
                        .map_or(Found::SamePage, Found::Page),
                    None => Found::Nothing,
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
                match (token, last_key) {
                    (None, Some(key)) if body.is_none() && page.records > 0 => {
                        Found::Unproved(IncompleteReason::NoLastKey(key.clone()))
                    }
                    (None, _) => Found::Nothing,
                    (Some(token), _) if token.is_empty() => Found::Nothing,
                    (Some(token), _) if parameter_of(request, parameter) == Some(&token) => Found::SamePage,
                    (Some(token), _) => Found::Page(token),
                }
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
                let here = parameter_of(request, parameter).and_then(|value| value.parse().ok());
                let offset = here.unwrap_or(*start).saturating_add(by);
                // A short page may be followed by more records, unless a total says that these are all.
                let ended = by == 0
                    || is_short(paginate, page) && sign != Sign::More && list_end::all_read(paginate, page);
                if ended {
                    Found::End
                } else if max_offset.is_some_and(|max| offset > max) {
                    Found::Unproved(IncompleteReason::Cap { pages: page.pages })
                } else {
                    Found::Page(offset.to_string())
                }
            }
        };
        let end = || list_end::end(paginate, sign, page);
        let capped = paginate.max_pages.is_some_and(|max| page.pages >= max);
        // Some providers name no next page where they stop.
        let may_be_capped =
            sign == Sign::Undeclared && paginate.end.total.is_none() && !is_short(paginate, page);
        Ok(match found {
            Found::Page(_) if capped => Next::End(End::Unproved(IncompleteReason::Cap { pages: page.pages })),
            Found::Nothing if capped && may_be_capped => {
                Next::End(End::Unproved(IncompleteReason::Cap { pages: page.pages }))
            }
            Found::Page(cursor) => Next::Page(cursor),
            Found::SamePage => Next::Again(end()),
            Found::Nothing | Found::End => Next::End(end()),
            Found::Unproved(reason) => Next::End(End::Unproved(reason)),
        })
    }

    /// Returns the request for the page at `cursor`; `first` is the request for the first page.
    pub fn page_request(
        &self,
        target: &Target,
        paginate: &Paginate,
        first: &Request,
        cursor: &str,
    ) -> Result<Request, RequestError> {
        let mut request = first.clone();
        match &paginate.by {
            PageBy::Nothing => return Err(RequestError::BadCursor),
            PageBy::Link { .. } => {
                request.query.clear();
                if cursor.starts_with('/') {
                    cursor.clone_into(&mut request.path);
                } else {
                    let link = Url::parse(cursor).map_err(|_| RequestError::BadCursor)?;
                    (request.server, request.path) = self.locate(target, first, &link)?;
                }
            }
            PageBy::Offset { .. } if cursor.parse::<u64>().is_err() => return Err(RequestError::BadCursor),
            PageBy::Cursor { parameter, .. } | PageBy::Offset { parameter, .. } => {
                request.query.retain(|(name, _)| name != parameter);
                request.query.push((parameter.clone(), cursor.to_owned()));
            }
        }
        Ok(request)
    }

    /// Returns the cursor for a link; `None` if it leads to the page of `request` again.
    fn next_link(
        &self,
        target: &Target,
        request: &Request,
        link: &str,
    ) -> Result<Option<String>, RequestError> {
        let here = request_url(&self.0.options, target, request)?;
        let mut link = here
            .join(link)
            .map_err(|error| RequestError::BadUrl(error.to_string()))?;
        link.set_fragment(None);
        remove_parameters(&mut link, |name| is_own_parameter(target, name));
        let (server, path) = self.locate(target, request, &link)?;
        if same_page(&link, here) {
            return Ok(None);
        }
        Ok(Some(if server == request.server {
            path
        } else {
            link.into()
        }))
    }

    /// Returns the server of the provider that `link` leads to, and path and query below it. The request's own server is tried first. The
    /// address of the file counts too where the operator overrides it, since a recording proxy passes on the provider's own links.
    fn locate(
        &self,
        target: &Target,
        request: &Request,
        link: &Url,
    ) -> Result<(Option<String>, String), RequestError> {
        let named = target.provider.servers.keys().map(|name| Some(name.as_str()));
        for server in [request.server.as_deref(), None].into_iter().chain(named) {
            let overridden = base_url(&self.0.options, target, server);
            for base in [overridden, file_url(target, server)].into_iter().flatten() {
                let below = link.path().strip_prefix(leading_path(&base));
                let below = below.filter(|rest| rest.starts_with('/') && base.origin() == link.origin());
                if let Some(rest) = below {
                    let query = link.query().map(|query| format!("?{query}")).unwrap_or_default();
                    return Ok((server.map(str::to_owned), format!("{rest}{query}")));
                }
            }
        }
        Err(RequestError::ForeignLink(
            link.host_str().unwrap_or_default().to_owned(),
        ))
    }
}

/// Returns the link or token at `path`; `None` if there is none. A link must be text, a token may be a number.
fn next_at(envelope: &Value, path: &[String], token: bool) -> Result<Option<String>, RequestError> {
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

fn bad_next(path: &[String], found: &Value) -> RequestError {
    RequestError::BadNext {
        at: path.join("."),
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

/// Returns the link of a relation in the `Link` headers, and what its parameter `more` says about the end.
fn in_header(
    headers: &HeaderMap,
    rel: &str,
    more: Option<&str>,
    sign: Sign,
) -> Result<(Option<String>, Sign), RequestError> {
    let link = link_header::find(headers, rel)?;
    let sign = match more {
        None => sign,
        Some(more) => match link.as_ref().and_then(|link| link.parameter(more)) {
            Some(word) if word.eq_ignore_ascii_case("true") => Sign::More,
            Some(word) if word.eq_ignore_ascii_case("false") => Sign::Ended,
            _ => Sign::Missing("link_more_in_response_header"),
        },
    };
    Ok((link.map(|link| link.target), sign))
}

/// Whether two addresses are the same, up to the spelling of their query.
fn same_page(one: &Url, mut other: Url) -> bool {
    let sorted = |url: &Url| {
        let mut pairs: Vec<_> = url.query_pairs().into_owned().collect();
        pairs.sort();
        pairs
    };
    other.set_fragment(None);
    one.origin() == other.origin() && one.path() == other.path() && sorted(one) == sorted(&other)
}

/// Whether a page has fewer records than were requested, or that number is unknown.
fn is_short(paginate: &Paginate, page: &PageInfo<'_>) -> bool {
    let records = u64::try_from(page.records).unwrap_or(u64::MAX);
    paginate.limit.is_none_or(|limit| records < limit)
}

fn parameter_of<'a>(request: &'a Request, parameter: &str) -> Option<&'a String> {
    request
        .query
        .iter()
        .find(|(name, _)| name == parameter)
        .map(|(_, value)| value)
}
