//! How the test sends each operation, and what another environment gets from the same request.

use domain::{IncomingEventId, IncomingRequest};
use serde_json::{Value as Json, json};
use store::incoming::NewIncoming;
use testkit::TestApp;

use crate::actions::{TO, message, trigger, trigger_with};

/// A request that succeeds, and what another environment gets from the same request.
pub(super) struct Call {
    pub(super) query: &'static str,
    pub(super) body: Option<Json>,
    pub(super) theirs: Theirs,
}

/// What another environment gets.
pub(super) enum Theirs {
    /// An error: the object is not theirs.
    Refused(u16, &'static str),
    /// The same response as everyone.
    Always(u16, &'static str),
    /// An empty list under this name.
    Empty(&'static str),
    /// An empty list.
    Bare,
    /// A result of its own: the request names no object of ours.
    Own,
}

fn of(query: &'static str, theirs: Theirs) -> Call {
    Call {
        query,
        body: None,
        theirs,
    }
}

fn with(query: &'static str, body: Json, theirs: Theirs) -> Call {
    Call {
        query,
        body: Some(body),
        theirs,
    }
}

/// The connection does not exist: 400 or 404, like Nango's route.
fn unknown(status: u16) -> Theirs {
    Theirs::Refused(status, "unknown_connection")
}

fn not_found() -> Theirs {
    Theirs::Refused(404, "not_found")
}

pub(super) fn call(operation: &str, app: &TestApp, cursor: &str) -> Call {
    connections(operation, app)
        .or_else(|| syncs(operation, cursor))
        .or_else(|| administration(operation, app))
        .or_else(|| webhooks(operation))
        .or_else(|| actions(operation, app))
        .unwrap_or_else(|| panic!("the walk does not know how to call {operation}: say so in `call`"))
}

fn connections(operation: &str, app: &TestApp) -> Option<Call> {
    const OF: &str = "?provider_config_key=twilio";
    Some(match operation {
        "list_connections" | "list_connections_deprecated" => of("", Theirs::Empty("connections")),
        "get_connection" | "get_connection_deprecated" => of(OF, not_found()),
        "delete_connection" | "delete_connection_deprecated" => of(OF, unknown(400)),
        "import_connection" => with("", import_body(app), Theirs::Own),
        "patch_connection" => with(OF, json!({ "tags": { "plan": "pro" } }), not_found()),
        "set_metadata" | "merge_metadata" | "set_metadata_deprecated" | "merge_metadata_deprecated" => {
            let body = json!({ "provider_config_key": "twilio", "connection_id": "my-twilio", "metadata": { "a": 1 } });
            with("", body, unknown(404))
        }
        "set_metadata_of_one_deprecated" | "merge_metadata_of_one_deprecated" => {
            with(OF, json!({ "a": 1 }), unknown(404))
        }
        "create_connect_session" => with("", json!({ "end_user": { "id": "u1" } }), Theirs::Own),
        "create_reconnect_session" => {
            let body = json!({ "integration_id": "twilio", "connection_id": "my-twilio" });
            with("", body, Theirs::Refused(400, "invalid_body"))
        }
        "connect" | "connect_twilio" => with("", app.connect_body("walked"), Theirs::Own),
        "get_connect_forms" | "get_twilio_connect_forms" => of("", Theirs::Own),
        "verify_connection" => with("", json!({ "connectionId": "my-twilio" }), unknown(404)),
        "proxy_get" | "proxy_head" | "proxy_post" | "proxy_put" | "proxy_patch" | "proxy_delete" => {
            of("", unknown(404))
        }
        _ => return None,
    })
}

fn syncs(operation: &str, cursor: &str) -> Option<Call> {
    let one = || json!({ "provider_config_key": "twilio", "connection_id": "my-twilio" });
    Some(match operation {
        "update_frequency" => {
            let mut body = one();
            body["sync_name"] = json!("twilio-messages");
            body["frequency"] = Json::Null;
            with("", body, unknown(400))
        }
        "create_variant" | "delete_variant" => with("", one(), unknown(400)),
        "trigger_syncs" | "pause_syncs" | "start_syncs" => {
            let mut body = one();
            body["syncs"] = json!(["twilio-messages"]);
            with("", body, unknown(404))
        }
        "sync_status" => of(
            "?syncs=*&provider_config_key=twilio&connection_id=my-twilio",
            Theirs::Refused(400, "invalid_body"),
        ),
        "list_runs" => of("", Theirs::Empty("runs")),
        "get_run" => of("", not_found()),
        "read_changes" => of("?model=Message", unknown(400)),
        "prune_records" => {
            let body = json!({ "model": "Message", "until_cursor": cursor });
            with("", body, unknown(400))
        }
        "list_records" | "list_twilio_messages" => of("?connectionId=my-twilio", unknown(404)),
        _ => return None,
    })
}

fn administration(operation: &str, app: &TestApp) -> Option<Call> {
    Some(match operation {
        // Environments belong to the account: a key with their scopes manages all of them.
        "list_environments"
        | "list_api_keys"
        | "delete_environment"
        | "revoke_api_key"
        | "list_providers"
        | "get_provider"
        | "list_provider_templates"
        | "environment_variables" => of("", Theirs::Own),
        "create_environment" => with("", json!({ "name": "another" }), Theirs::Own),
        "create_api_key" => {
            let body = json!({ "name": "made", "scopes": ["account:environments:api_keys:create"] });
            with("", body, Theirs::Own)
        }
        "list_integrations" => of("", Theirs::Empty("data")),
        "scripts_config" => of("", Theirs::Bare),
        "create_integration" => {
            let key = format!("made-{}", app.clock().now().as_micros());
            with(
                "",
                json!({ "provider": "twilio", "unique_key": key }),
                Theirs::Own,
            )
        }
        "get_integration" | "delete_integration" | "list_functions" | "get_function"
        | "get_function_code" => of("", not_found()),
        "get_config_deprecated" => of("", Theirs::Refused(400, "unknown_provider_config")),
        "update_integration" => with("", json!({ "display_name": "Changed" }), not_found()),
        "create_quickstart_integration" => of("", Theirs::Always(400, "invalid_body")),
        _ => return None,
    })
}

fn webhooks(operation: &str) -> Option<Call> {
    let url = json!({ "url": "https://app.example.com/hook" });
    Some(match operation {
        "list_webhook_endpoints" => of("", Theirs::Empty("data")),
        "create_webhook_endpoint" => with("", url, Theirs::Own),
        "get_webhook_endpoint"
        | "delete_webhook_endpoint"
        | "get_webhook_delivery"
        | "replay_webhook_delivery"
        | "get_incoming_webhook"
        | "replay_incoming_webhook" => of("", not_found()),
        "update_webhook_endpoint" => with("", json!({ "description": "walked" }), not_found()),
        "rotate_webhook_secret" => with("", json!({}), not_found()),
        "send_webhook_example" => with("", json!({ "type": "sync.failed" }), not_found()),
        "replay_webhook_endpoint" => with("", json!({ "status": "failed" }), not_found()),
        "list_webhook_deliveries" => of("", Theirs::Empty("deliveries")),
        "list_events" | "list_incoming_webhooks" => of("", Theirs::Empty("events")),
        "get_webhook_address" | "get_webhook_subscriptions" | "unsubscribe_webhooks" => {
            of("?connectionId=my-twilio", unknown(404))
        }
        "subscribe_webhooks" => {
            let body = json!({ "subscription": "signing-key" });
            with("?connectionId=my-twilio", body, unknown(404))
        }
        "get_environment_webhooks" | "rotate_webhook_signing_key" => of("", Theirs::Own),
        "set_environment_webhooks" => with("", json!({ "primary_url": null }), Theirs::Own),
        _ => return None,
    })
}

fn actions(operation: &str, app: &TestApp) -> Option<Call> {
    Some(match operation {
        "trigger_action" => with("", json!({ "action_name": "get-balance" }), unknown(400)),
        "get_action_result" => of("", not_found()),
        "twilio_get_message"
        | "twilio_delete_message"
        | "twilio_list_phone_numbers"
        | "twilio_lookup"
        | "twilio_get_balance"
        | "twilio_get_usage" => of("?connectionId=my-twilio", unknown(404)),
        "twilio_search_phone_numbers" => of("?connectionId=my-twilio&country=US", unknown(404)),
        id if id.starts_with("twilio_") => with("", short_route_body(id, app), unknown(404)),
        _ => return None,
    })
}

fn import_body(app: &TestApp) -> Json {
    let known = app.simulator().credentials();
    json!({
        "provider_config_key": "twilio",
        "connection_id": "imported",
        "credentials": { "type": "BASIC", "username": known.account_sid, "password": known.auth_token },
    })
}

/// Returns the input of an action's short route.
fn short_route_body(operation: &str, app: &TestApp) -> Json {
    let assets = app.simulator().assets();
    let (from, service) = (&assets.numbers[0], &assets.verify_services[0]);
    let mut body = match operation {
        "twilio_send_message" => json!({ "to": TO, "from": from, "body": "walked" }),
        "twilio_create_call" => json!({ "to": TO, "from": from, "twiml": "<Response/>" }),
        "twilio_start_verification" => json!({ "serviceSid": service, "to": TO }),
        "twilio_check_verification" => {
            let code = app.simulator().verifications()[0].code.clone();
            json!({ "serviceSid": service, "to": TO, "code": code })
        }
        "twilio_redact_message" | "twilio_cancel_message" | "twilio_hang_up" => json!({}),
        other => panic!("the walk does not know what to give {other}: say so in `short_route_body`"),
    };
    body["connectionId"] = json!("my-twilio");
    body
}

/// Ids of the objects that the actions use, by their names in the paths.
pub(super) struct Things {
    sent: String,
    scheduled: String,
    call: String,
    action: String,
    endpoint: String,
    delivery: String,
    incoming: String,
}

impl Things {
    pub(super) async fn make(app: &TestApp) -> Self {
        let assets = app.simulator().assets();
        let at = app.simulator().now() + chrono::Duration::days(2);
        let later = json!({ "to": TO, "messagingServiceSid": assets.messaging_services[0], "body": "x", "sendAt": at.to_rfc3339() });
        let call = json!({ "to": TO, "from": assets.numbers[0], "twiml": "<Response/>" });
        let verification = json!({ "serviceSid": assets.verify_services[0], "to": TO });
        let sid = async |name: &str, input: &Json| -> String {
            let made = trigger(app, name, input).await.expect(200).json();
            made["sid"].as_str().unwrap().to_owned()
        };
        sid("start-verification", &verification).await;
        // Nothing listens there: the delivery stays pending.
        let endpoint = json!({ "url": "http://127.0.0.1:9/hook", "events": ["action.*"] });
        let endpoint = app
            .admin()
            .post("/webhook-endpoints", &endpoint)
            .await
            .expect(201);
        let stored = trigger_with(app.admin(), "get-balance", &json!({}), &[("X-Async", "true")]).await;
        let sent = sid("send-message", &message(app, "walked")).await;
        let scheduled = sid("send-message", &later).await;
        app.advance(std::time::Duration::from_mins(5));
        app.run_due().await;
        let deliveries = app.admin().get("/webhook-deliveries").await.expect(200).json();
        Self {
            endpoint: endpoint.json()["data"]["id"].as_str().unwrap().to_owned(),
            delivery: deliveries["deliveries"][0]["id"].as_str().unwrap().to_owned(),
            incoming: incoming_event(app).await,
            sent,
            scheduled,
            // Created last, so that it is still active when it is ended.
            call: sid("create-call", &call).await,
            action: stored.expect(202).json()["id"].as_str().unwrap().to_owned(),
        }
    }

    pub(super) fn fill(&self, operation: &str, path: &str) -> String {
        let message = if operation == "twilio_cancel_message" {
            &self.scheduled
        } else {
            &self.sent
        };
        let path = path
            .replace("{messageSid}", message)
            .replace("{callSid}", &self.call);
        let path = path.replace("{phoneNumber}", TO);
        match operation {
            "get_action_result" => path.replace("{id}", &self.action),
            "get_webhook_delivery" | "replay_webhook_delivery" => path.replace("{id}", &self.delivery),
            _ if path.starts_with("/webhook-events/") => path.replace("{id}", &self.incoming),
            _ if path.starts_with("/webhook-endpoints/") => path.replace("{id}", &self.endpoint),
            _ => path,
        }
    }
}

/// Stores an event of a provider that fits no connection; returns its id.
async fn incoming_event(app: &TestApp) -> String {
    let now = app.clock().now();
    let new = NewIncoming {
        id: IncomingEventId::new(now),
        environment: app.caller().await.environment,
        integration: "twilio".parse().unwrap(),
        provider: "twilio".parse().unwrap(),
        connection: None,
        verified: false,
        dedupe_key: None,
        nonce: None,
        event_type: None,
        request: IncomingRequest {
            method: "POST".to_owned(),
            url: "webhook:".to_owned(),
            headers: std::collections::BTreeMap::new(),
            body: Some(b"{}".to_vec()),
        },
        received_at: now,
    };
    let id = new.id.to_string();
    let stored = app
        .store()
        .write(move |c| store::incoming::insert(c, &[new], now));
    stored.await.unwrap();
    id
}

/// Deletions come last, the smaller before the larger.
pub(super) fn rank(operation: &str) -> u8 {
    match operation {
        "delete_variant" | "twilio_delete_message" | "delete_webhook_endpoint" => 1,
        "delete_connection" | "delete_connection_deprecated" => 2,
        "delete_integration" => 3,
        _ => 0,
    }
}

/// Returns the path with its parameters filled in; two routes that delete something each get their own.
pub(super) fn fill(operation: &str, path: &str, run: &str, key: &str) -> String {
    let environment = if operation == "delete_environment" {
        "doomed"
    } else {
        "walked"
    };
    let connection = if operation == "delete_connection_deprecated" {
        "another"
    } else {
        "my-twilio"
    };
    let name = if path.contains("/functions/") || path.contains("/variant/") {
        "twilio-messages"
    } else {
        ""
    };
    path.replace("{integration}", "twilio")
        .replace("{plural}", "messages")
        .replace("{connection_id}", connection)
        .replace("{id}", run)
        .replace("{environment}", environment)
        .replace("{key_id}", key)
        .replace("{provider}", "twilio")
        .replace("{endpoint}", "2010-04-01/Accounts.json")
        .replace("{unique_key}", "twilio")
        .replace("{name}", name)
        .replace("{variant}", "walked")
}
