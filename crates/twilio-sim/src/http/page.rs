//! Pages of small lists, in both envelopes: the flat one of the 2010 API with relative links, and `meta` of the product APIs with
//! absolute links.

use serde_json::{Value, json};
use url::form_urlencoded;

use crate::faults::Faults;
use crate::filter::page_size;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::shared::Shared;

/// The part of a list on one page.
struct Slice {
    items: Vec<Value>,
    size: u32,
    number: u64,
    next: Option<String>,
    previous: Option<String>,
    faults: Faults,
}

impl Slice {
    fn of(shared: &Shared, request: &ApiRequest, items: Vec<Value>) -> Result<Self, ApiError> {
        let faults = shared.faults();
        let size = match request.parameter("PageSize") {
            Some(text) => page_size(&text).map_err(|_| {
                ApiError::bad(
                    20001,
                    format!("Page size must be between 1 and 1000, not '{text}'"),
                )
            })?,
            None => 50,
        };
        if faults.max_page_size.is_some_and(|most| size > most) {
            return Err(ApiError::new(500, 20500, "An internal server error has occurred"));
        }
        let number = request
            .parameter("Page")
            .and_then(|page| page.parse::<u64>().ok())
            .unwrap_or(0);
        let token = request.parameter("PageToken");
        if number > 0 && token.is_none() {
            return Err(ApiError::bad(20001, "PageToken is required for paging."));
        }
        let wanted = usize::try_from(size).unwrap_or(50);
        let from = match token {
            None => 0,
            Some(token) => {
                let place = items
                    .iter()
                    .enumerate()
                    .position(|(index, item)| token.get(2..) == Some(&name(index, item)));
                match (place, token.get(..2)) {
                    (Some(place), Some("PA")) => place + 1,
                    (Some(place), Some("PB")) => place.saturating_sub(wanted),
                    _ => return Err(ApiError::bad(21481, "Invalid PageToken")),
                }
            }
        };
        let end = from.saturating_add(wanted).min(items.len());
        let more = end < items.len() || (faults.empty_last_page && end == from + wanted);
        let anchor = |index: usize| items.get(index).map(|item| name(index, item));
        let last = end.checked_sub(1).filter(|_| more).and_then(anchor);
        let first = Some(from).filter(|from| *from > 0).and_then(anchor);
        Ok(Self {
            next: last.map(|name| format!("PA{name}")),
            previous: first.map(|name| format!("PB{name}")),
            items: items.into_iter().skip(from).take(wanted).collect(),
            size,
            number,
            faults,
        })
    }

    /// Returns the path of another page, with the filters of this page.
    fn link(&self, request: &ApiRequest, page: u64, token: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (key, value) in form_urlencoded::parse(request.query.as_bytes()) {
            if !matches!(key.as_ref(), "PageSize" | "Page" | "PageToken") {
                query.append_pair(&key, &value);
            }
        }
        query.append_pair("PageSize", &self.size.to_string());
        query.append_pair("Page", &page.to_string());
        if let Some(token) = token {
            query.append_pair("PageToken", token);
        }
        format!("{}?{}", request.path, query.finish())
    }

    /// Returns the link to the next page; an empty `origin` gives a relative link.
    fn next(&self, request: &ApiRequest, origin: &str) -> Option<String> {
        let path = if self.faults.repeat_page {
            Some(self.own(request))
        } else {
            self.next
                .as_deref()
                .map(|token| self.link(request, self.number.saturating_add(1), Some(token)))
        };
        let origin = self
            .faults
            .foreign_next_link
            .as_deref()
            .map_or(origin, |origin| origin.trim_end_matches('/'));
        path.map(|path| format!("{origin}{path}"))
    }

    fn previous(&self, request: &ApiRequest) -> Option<String> {
        self.previous
            .as_deref()
            .map(|token| self.link(request, self.number.saturating_sub(1), Some(token)))
    }

    fn own(&self, request: &ApiRequest) -> String {
        if request.query.is_empty() {
            self.link(request, 0, None)
        } else {
            format!("{}?{}", request.path, request.query)
        }
    }
}

/// Returns the name of an item in page tokens, after `PA` (below it) or `PB` (above it): its SID, its number, or its index.
fn name(index: usize, item: &Value) -> String {
    let text = |field: &str| item.get(field).and_then(Value::as_str);
    text("sid")
        .or_else(|| text("phone_number"))
        .map_or_else(|| index.to_string(), str::to_owned)
}

/// Returns a page of the 2010 API.
pub(crate) fn flat(
    shared: &Shared,
    request: &ApiRequest,
    key: &str,
    items: Vec<Value>,
) -> Result<ApiResponse, ApiError> {
    let slice = Slice::of(shared, request, items)?;
    let start = slice.number.saturating_mul(u64::from(slice.size));
    let count = u64::try_from(slice.items.len()).unwrap_or(0);
    let body = json!({
        "first_page_uri": slice.link(request, 0, None),
        "end": start.saturating_add(count).saturating_sub(1).max(start),
        "previous_page_uri": slice.previous(request),
        "uri": slice.own(request),
        "page_size": slice.size,
        "start": start,
        "next_page_uri": slice.next(request, ""),
        "page": slice.number,
    });
    Ok(with_items(body, key, slice.items))
}

/// Returns a page of a product API.
pub(crate) fn nested(
    shared: &Shared,
    request: &ApiRequest,
    key: &str,
    items: Vec<Value>,
) -> Result<ApiResponse, ApiError> {
    let slice = Slice::of(shared, request, items)?;
    let origin = request.origin(shared);
    let absolute = |path: String| format!("{origin}{path}");
    let body = json!({
        "meta": {
            "page": slice.number,
            "page_size": slice.size,
            "first_page_url": absolute(slice.link(request, 0, None)),
            "previous_page_url": slice.previous(request).map(absolute),
            "url": absolute(slice.own(request)),
            "next_page_url": slice.next(request, &origin),
            "key": key,
        },
    });
    Ok(with_items(body, key, slice.items))
}

fn with_items(mut body: Value, key: &str, items: Vec<Value>) -> ApiResponse {
    if let Value::Object(fields) = &mut body {
        fields.insert(key.to_owned(), Value::Array(items));
    }
    ApiResponse::value(200, &body)
}
