//! Pages of small lists, in both envelopes: the flat one of the 2010 API with relative links, and the `meta` of the product APIs
//! with absolute ones.

use serde_json::{Value, json};
use url::form_urlencoded;

use crate::filter::page_size;
use crate::http::call::Call;
use crate::http::reply::{Refusal, Reply};

/// The part of a list that one page shows.
struct Slice {
    items: Vec<Value>,
    size: u32,
    number: u64,
    next_token: Option<String>,
}

impl Slice {
    fn of(call: &Call, items: Vec<Value>) -> Result<Self, Refusal> {
        let size = match call.parameter("PageSize") {
            Some(text) => page_size(&text).map_err(|_| {
                Refusal::bad(
                    20001,
                    format!("Page size must be between 1 and 1000, not '{text}'"),
                )
            })?,
            None => 50,
        };
        let number = call
            .parameter("Page")
            .and_then(|page| page.parse::<u64>().ok())
            .unwrap_or(0);
        let token = call.parameter("PageToken");
        if number > 0 && token.is_none() {
            return Err(Refusal::bad(20001, "PageToken is required for paging."));
        }
        let skip = match token {
            None => 0,
            Some(token) => (0..)
                .zip(&items)
                .position(|(index, item)| token == name(index, item))
                .map(|at| at + 1)
                .ok_or_else(|| Refusal::bad(21481, "Invalid PageToken"))?,
        };
        let wanted = usize::try_from(size).unwrap_or(50);
        let end = skip + wanted;
        let next_token = items
            .get(end - 1)
            .filter(|_| items.len() > end)
            .map(|last| name(end - 1, last));
        Ok(Self {
            items: items.into_iter().skip(skip).take(wanted).collect(),
            size,
            number,
            next_token,
        })
    }

    /// The path of another page, with every filter of this one.
    fn link(&self, call: &Call, page: u64, token: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (key, value) in form_urlencoded::parse(call.query.as_bytes()) {
            if !matches!(key.as_ref(), "PageSize" | "Page" | "PageToken") {
                query.append_pair(&key, &value);
            }
        }
        query.append_pair("PageSize", &self.size.to_string());
        query.append_pair("Page", &page.to_string());
        if let Some(token) = token {
            query.append_pair("PageToken", token);
        }
        format!("{}?{}", call.path, query.finish())
    }

    fn next(&self, call: &Call) -> Option<String> {
        self.next_token
            .as_deref()
            .map(|token| self.link(call, self.number.saturating_add(1), Some(token)))
    }

    fn own(&self, call: &Call) -> String {
        if call.query.is_empty() {
            self.link(call, 0, None)
        } else {
            format!("{}?{}", call.path, call.query)
        }
    }
}

/// What a page token calls an item: its SID, its number or, lacking both, its place.
fn name(index: usize, item: &Value) -> String {
    let text = |field: &str| item.get(field).and_then(Value::as_str);
    match text("sid").or_else(|| text("phone_number")) {
        Some(name) => format!("PA{name}"),
        None => format!("PT{index}"),
    }
}

/// A page of the 2010 API.
pub(crate) fn flat(call: &Call, key: &str, items: Vec<Value>) -> Result<Reply, Refusal> {
    let slice = Slice::of(call, items)?;
    let start = slice.number.saturating_mul(u64::from(slice.size));
    let count = u64::try_from(slice.items.len()).unwrap_or(0);
    let body = json!({
        "first_page_uri": slice.link(call, 0, None),
        "end": start.saturating_add(count).saturating_sub(1).max(start),
        "previous_page_uri": null,
        "uri": slice.own(call),
        "page_size": slice.size,
        "start": start,
        "next_page_uri": slice.next(call),
        "page": slice.number,
    });
    Ok(with_items(body, key, slice.items))
}

/// A page of a product API; links begin with `origin`.
pub(crate) fn nested(call: &Call, origin: &str, key: &str, items: Vec<Value>) -> Result<Reply, Refusal> {
    let slice = Slice::of(call, items)?;
    let absolute = |path: String| format!("{origin}{path}");
    let body = json!({
        "meta": {
            "page": slice.number,
            "page_size": slice.size,
            "first_page_url": absolute(slice.link(call, 0, None)),
            "previous_page_url": null,
            "url": absolute(slice.own(call)),
            "next_page_url": slice.next(call).map(absolute),
            "key": key,
        },
    });
    Ok(with_items(body, key, slice.items))
}

fn with_items(mut body: Value, key: &str, items: Vec<Value>) -> Reply {
    if let Value::Object(fields) = &mut body {
        fields.insert(key.to_owned(), Value::Array(items));
    }
    Reply::value(200, &body)
}
