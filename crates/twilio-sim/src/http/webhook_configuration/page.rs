//! Lists with page tokens in `meta`.

use serde_json::{Value, json};

use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::http::webhook_configuration::invalid;

const MOST: usize = 100;

/// Returns a page of a list. A token is the index of the page's first item.
pub(super) fn page(request: &ApiRequest, key: &str, items: Vec<Value>) -> Result<ApiResponse, ApiError> {
    let size = match request.parameter("pageSize") {
        None => 50,
        Some(text) => text
            .parse::<usize>()
            .ok()
            .filter(|size| (1..=MOST).contains(size))
            .ok_or_else(|| invalid("pageSize must be between 1 and 100"))?,
    };
    let from = match request.parameter("pageToken") {
        None => 0,
        Some(token) => token
            .strip_prefix("PT")
            .and_then(|index| index.parse::<usize>().ok())
            .filter(|index| *index <= items.len())
            .ok_or_else(|| invalid("pageToken is invalid"))?,
    };
    let end = (from + size).min(items.len());
    let token = |index: usize| format!("PT{index}");
    let mut body = json!({
        "meta": {
            "key": key,
            "pageSize": size,
            "nextToken": (end < items.len()).then(|| token(end)),
            "previousToken": (from > 0).then(|| token(from.saturating_sub(size))),
        },
    });
    let slice: Vec<Value> = items.into_iter().skip(from).take(size).collect();
    if let Value::Object(fields) = &mut body {
        fields.insert(key.to_owned(), Value::Array(slice));
    }
    Ok(ApiResponse::value(200, &body))
}
