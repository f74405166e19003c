//! How each operation is called in the walk, and what another environment gets from the same call.

use serde_json::{Value as Json, json};
use testkit::TestApp;

use crate::actions::{TO, message, trigger, trigger_with};

/// How an operation is called so that it succeeds, and what another environment gets from the same call.
pub(super) struct Call {
    pub(super) query: &'static str,
    pub(super) body: Option<Json>,
    pub(super) theirs: Theirs,
}

/// What another environment gets.
pub(super) enum Theirs {
    /// An error: the object is not theirs.
    Refused(u16, &'static str),
    /// This, as everybody does.
    Always(u16, &'static str),
    /// An empty list under this name.
    Empty(&'static str),
    /// An empty list.
    Bare,
    /// Something of its own: the call names no object of ours.
    Own,
}

pub(super) fn call(operation: &str, app: &TestApp, cursor: &str) -> Call {
    let select = json!({ "provider_config_key": "twilio", "connection_id": "my-twilio", "syncs": ["twilio-messages"] });
    let of = |query, theirs| Call {
        query,
        body: None,
        theirs,
    };
    let unknown = || Theirs::Refused(404, "unknown_connection");
    match operation {
        "list_connections" | "list_connections_deprecated" => of("", Theirs::Empty("connections")),
        "get_connection" | "get_connection_deprecated" => {
            of("?provider_config_key=twilio", Theirs::Refused(404, "not_found"))
        }
        "delete_connection" | "delete_connection_deprecated" => of(
            "?provider_config_key=twilio",
            Theirs::Refused(400, "unknown_connection"),
        ),
        "import_connection" => Call {
            query: "",
            body: Some(import_body(app)),
            theirs: Theirs::Own,
        },
        "patch_connection" => Call {
            query: "?provider_config_key=twilio",
            body: Some(json!({ "tags": { "plan": "pro" } })),
            theirs: Theirs::Refused(404, "not_found"),
        },
        "set_metadata" | "merge_metadata" | "set_metadata_deprecated" | "merge_metadata_deprecated" => Call {
            query: "",
            body: Some(
                json!({ "provider_config_key": "twilio", "connection_id": "my-twilio", "metadata": { "a": 1 } }),
            ),
            theirs: unknown(),
        },
        "set_metadata_of_one_deprecated" | "merge_metadata_of_one_deprecated" => Call {
            query: "?provider_config_key=twilio",
            body: Some(json!({ "a": 1 })),
            theirs: unknown(),
        },
        "create_connect_session" => Call {
            query: "",
            body: Some(json!({ "end_user": { "id": "u1" } })),
            theirs: Theirs::Own,
        },
        "create_reconnect_session" => Call {
            query: "",
            body: Some(json!({ "integration_id": "twilio", "connection_id": "my-twilio" })),
            theirs: Theirs::Refused(400, "invalid_body"),
        },
        "update_frequency" => Call {
            query: "",
            body: Some(json!({
                "provider_config_key": "twilio", "connection_id": "my-twilio", "sync_name": "twilio-messages", "frequency": null
            })),
            theirs: Theirs::Refused(400, "unknown_connection"),
        },
        "create_variant" | "delete_variant" => Call {
            query: "",
            body: Some(json!({ "provider_config_key": "twilio", "connection_id": "my-twilio" })),
            theirs: Theirs::Refused(400, "unknown_connection"),
        },
        "read_changes" => of("?model=Message", Theirs::Refused(400, "unknown_connection")),
        "prune_records" => Call {
            query: "",
            body: Some(json!({ "model": "Message", "until_cursor": cursor })),
            theirs: Theirs::Refused(400, "unknown_connection"),
        },
        "trigger_syncs" | "pause_syncs" | "start_syncs" => Call {
            query: "",
            body: Some(select),
            theirs: unknown(),
        },
        "sync_status" => of(
            "?syncs=*&provider_config_key=twilio&connection_id=my-twilio",
            Theirs::Refused(400, "invalid_body"),
        ),
        "list_runs" => of("", Theirs::Empty("runs")),
        "list_records" | "list_twilio_messages" => of("?connectionId=my-twilio", unknown()),
        "proxy_get" | "proxy_head" | "proxy_post" | "proxy_put" | "proxy_patch" | "proxy_delete" => {
            of("", unknown())
        }
        // Environments are the account's: who has its scopes may look after all of them, whichever the key belongs to.
        "list_environments"
        | "list_api_keys"
        | "delete_environment"
        | "revoke_api_key"
        | "list_providers"
        | "get_provider"
        | "list_provider_templates"
        | "environment_variables" => of("", Theirs::Own),
        "create_environment" => Call {
            query: "",
            body: Some(json!({ "name": "another" })),
            theirs: Theirs::Own,
        },
        "create_api_key" => Call {
            query: "",
            body: Some(json!({ "name": "made", "scopes": ["account:environments:api_keys:create"] })),
            theirs: Theirs::Own,
        },
        "list_integrations" => of("", Theirs::Empty("data")),
        "scripts_config" => of("", Theirs::Bare),
        "create_integration" => Call {
            query: "",
            body: Some(
                json!({ "provider": "twilio", "unique_key": format!("made-{}", app.clock().now().as_micros()) }),
            ),
            theirs: Theirs::Own,
        },
        "get_run" | "get_integration" | "delete_integration" | "list_functions" | "get_function"
        | "get_function_code" => of("", Theirs::Refused(404, "not_found")),
        "update_integration" => Call {
            query: "",
            body: Some(json!({ "display_name": "Changed" })),
            theirs: Theirs::Refused(404, "not_found"),
        },
        "create_quickstart_integration" => of("", Theirs::Always(400, "invalid_body")),
        "connect" | "connect_twilio" => Call {
            query: "",
            body: Some(app.connect_body("walked")),
            theirs: Theirs::Own,
        },
        "trigger_action" => Call {
            query: "",
            body: Some(json!({ "action_name": "get-balance" })),
            theirs: Theirs::Refused(400, "unknown_connection"),
        },
        "get_action_result" => of("", Theirs::Refused(404, "not_found")),
        "verify_connection" => Call {
            query: "",
            body: Some(json!({ "connectionId": "my-twilio" })),
            theirs: unknown(),
        },
        "twilio_get_message"
        | "twilio_delete_message"
        | "twilio_list_phone_numbers"
        | "twilio_lookup"
        | "twilio_get_balance"
        | "twilio_get_usage" => of("?connectionId=my-twilio", unknown()),
        "twilio_search_phone_numbers" => of("?connectionId=my-twilio&country=US", unknown()),
        id if id.starts_with("twilio_") => Call {
            query: "",
            body: Some(short_route_body(id, app)),
            theirs: unknown(),
        },
        other => panic!("the walk does not know how to call {other}: say so in `call`"),
    }
}

fn import_body(app: &TestApp) -> Json {
    let known = app.simulator().credentials();
    json!({
        "provider_config_key": "twilio",
        "connection_id": "imported",
        "credentials": { "type": "BASIC", "username": known.account_sid, "password": known.auth_token },
    })
}

/// What an action is given by its short route.
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

/// Ids of things that the walk's actions are about, by their names in the paths.
pub(super) struct Things {
    sent: String,
    scheduled: String,
    call: String,
    action: String,
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
        let stored = trigger_with(app.admin(), "get-balance", &json!({}), &[("X-Async", "true")]).await;
        let sent = sid("send-message", &message(app, "walked")).await;
        let scheduled = sid("send-message", &later).await;
        app.advance(std::time::Duration::from_secs(300));
        app.run_due().await;
        Self {
            sent,
            scheduled,
            // Last, so that it is not over when it is to be ended.
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
        if operation == "get_action_result" {
            path.replace("{id}", &self.action)
        } else {
            path
        }
    }
}

/// What takes away what others need comes last, the smaller before the larger.
pub(super) fn rank(operation: &str) -> u8 {
    match operation {
        "delete_variant" | "twilio_delete_message" => 1,
        "delete_connection" | "delete_connection_deprecated" => 2,
        "delete_integration" => 3,
        _ => 0,
    }
}

/// The path with its holes filled; two routes that take something away each get their own.
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
