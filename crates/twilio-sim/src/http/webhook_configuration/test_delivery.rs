//! `POST …/Tests`: sends one webhook as a Setting says, and reports how it ended.

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::dates::iso8601;
use crate::http::recipient;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse, PendingTest};
use crate::http::webhook_configuration::{INVALID, body, invalid, not_found, required, text};
use crate::shared::Shared;
use crate::webhooks::{Callback, WebhookEntry, WebhookKind, WebhookMethod, WebhookOutcome};

const LONGEST_URL: usize = 2048;

/// Sends the test.
pub(super) fn send(shared: &Shared, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    let fields = body(request)?;
    let url = required(&fields, "url", LONGEST_URL)?;
    let id = required(&fields, "settingId", LONGEST_URL)?;
    let method = match text(&fields, "method", LONGEST_URL)? {
        None | Some("POST") => WebhookMethod::Post,
        Some("GET") => WebhookMethod::Get,
        Some(_) => return Err(invalid("method must be GET or POST")),
    };
    if !recipient::is_reachable(shared, url) {
        return Err(invalid("url must be the URL of a public host"));
    }
    let usable = {
        let configuration = shared.sender.configuration();
        let setting = configuration.setting(id).ok_or_else(|| not_found(id))?;
        setting.usable
    };
    if shared.clock.seconds() < usable {
        let words = "the Setting has not propagated yet; try again in a minute";
        return Err(ApiError::problem(422, INVALID, words));
    }
    let account = &shared.credentials.account_sid;
    let parameters = vec![
        ("AccountSid".to_owned(), account.clone()),
        ("SettingId".to_owned(), id.to_owned()),
        ("Test".to_owned(), "true".to_owned()),
    ];
    let callback = Callback::form(WebhookKind::Test, account, id, "test", url, parameters);
    let callback = Callback {
        method,
        setting: Some(id.to_owned()),
        ordered: false,
        ..callback
    };
    let (report, entry) = oneshot::channel();
    shared
        .sender
        .take(callback, &shared.faults().webhooks, Some(report));
    Ok(ApiResponse {
        test: Some(PendingTest {
            entry,
            body: resource,
        }),
        ..ApiResponse::json(201, Vec::new())
    })
}

fn resource(entry: &WebhookEntry) -> Value {
    let delivered = entry.outcome == WebhookOutcome::Delivered;
    let last = entry.attempts.last();
    let millis: u64 = entry.attempts.iter().map(|attempt| attempt.millis).sum();
    let mut result = json!({
        "outcome": if delivered { "DELIVERED" } else { "FAILED" },
        "response": {"statusCode": entry.status(), "headers": {}},
        "timing": {"totalMs": millis},
    });
    if !delivered && let Value::Object(fields) = &mut result {
        let error = last.and_then(|attempt| attempt.error.clone());
        let words = error.unwrap_or_else(|| "the response was no 2xx".to_owned());
        fields.insert("error".to_owned(), Value::from(words));
    }
    json!({
        "url": entry.url,
        "result": result,
        "createdAt": last.map(|attempt| iso8601(attempt.at.timestamp())),
    })
}
