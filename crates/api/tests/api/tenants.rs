//! One walk over the document: every operation refuses no key, a key without its scope, and another environment's object.

use std::time::Duration;

use gateway::Scope;
use reqwest::Method;
use serde_json::{Value as Json, json};
use testkit::{Client, Reply, TestApp, on_both_databases};

use crate::connect_sessions::session_token;

on_both_databases!(
    every_operation_refuses_no_key_a_key_without_its_scope_and_anothers_object,
    every_operation_of_a_session_refuses_no_token_a_key_and_an_ended_session,
);

/// How an operation is called so that it succeeds, and what another environment gets from the same call.
struct Call {
    query: &'static str,
    body: Option<Json>,
    theirs: Theirs,
}

/// What another environment gets.
enum Theirs {
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

fn call(operation: &str, app: &TestApp) -> Call {
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
        "trigger_syncs" | "pause_syncs" | "start_syncs" => Call {
            query: "",
            body: Some(select),
            theirs: unknown(),
        },
        "sync_status" => of(
            "?syncs=*&provider_config_key=twilio&connection_id=my-twilio",
            unknown(),
        ),
        "list_runs" => of("", Theirs::Empty("runs")),
        "get_run" => of("", Theirs::Refused(404, "not_found")),
        "list_records" | "list_twilio_messages" => of("?connectionId=my-twilio", unknown()),
        "list_environments"
        | "list_providers"
        | "get_provider"
        | "list_provider_templates"
        | "environment_variables" => of("", Theirs::Own),
        "create_environment" => Call {
            query: "",
            body: Some(json!({ "name": "another" })),
            theirs: Theirs::Own,
        },
        // Environments are the account's: who has its scopes may look after all of them, whichever the key belongs to.
        "list_api_keys" | "delete_environment" | "revoke_api_key" => of("", Theirs::Own),
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
        "get_integration" | "delete_integration" | "list_functions" | "get_function"
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

/// Operations of other providers, which have no connection here; what they are made of is the same.
fn elsewhere(path: &str, app: &TestApp) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    first != "twilio" && app.gateway().registry().get(first).is_some()
}

/// What takes away what others need comes last, the smaller before the larger.
fn rank(operation: &str) -> u8 {
    match operation {
        "delete_connection" | "delete_connection_deprecated" => 1,
        "delete_integration" => 2,
        _ => 0,
    }
}

/// The path with its holes filled; two routes that take something away each get their own.
fn fill(operation: &str, path: &str, run: &str, key: &str) -> String {
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
    let name = if path.contains("/functions/") {
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
        .replace("{unique_key}", "twilio")
        .replace("{name}", name)
}

async fn send(client: &Client, method: &Method, path: &str, call: &Call) -> Reply {
    let request = client.request(method.clone(), &format!("{path}{}", call.query));
    let request = match &call.body {
        Some(body) => request
            .header("Content-Type", "application/json")
            .body(body.to_string()),
        None => request,
    };
    client.send(request).await
}

async fn every_operation_refuses_no_key_a_key_without_its_scope_and_anothers_object(app: TestApp) {
    app.connect_twilio().await;
    app.connect_as(app.admin(), "another").await;
    app.run_due().await;
    let run = app.admin().get("/sync/runs").await.json()["runs"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for environment in ["walked", "doomed"] {
        app.environment(environment).await;
    }
    let keys = app
        .admin()
        .get("/environments/walked/api-keys")
        .await
        .expect(200)
        .json();
    let key = keys["data"][0]["id"].as_str().unwrap().to_owned();
    let theirs = app.environment("theirs").await;
    let document = app.anonymous().get("/openapi.json").await.json();
    let mut own = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(scopes) = operation["security"][0]["api_key"].as_array() else {
                continue;
            };
            if elsewhere(path, &app) {
                continue;
            }
            let id = operation["operationId"].as_str().unwrap();
            let method: Method = method.to_ascii_uppercase().parse().unwrap();
            let path = fill(id, path, &run, &key);
            let call = call(id, &app);
            let needed = scopes[0].as_str().unwrap();
            let (others, only): (Vec<Scope>, Vec<Scope>) =
                Scope::ALL.iter().partition(|scope| scope.as_str() != needed);
            // Who may see credentials may see what they belong to.
            let others: Vec<Scope> = others
                .into_iter()
                .filter(|scope| scope.as_str().replace("_credentials", "") != needed)
                .collect();

            let reply = send(app.anonymous(), &method, &path, &call).await;
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (401, "missing_auth_header"),
                "{id}"
            );
            let reply = send(&app.client_with(&others).await, &method, &path, &call).await;
            assert_eq!((reply.status, reply.code().as_str()), (403, "forbidden"), "{id}");
            if matches!(call.theirs, Theirs::Own) {
                own.push((id.to_owned(), method, path, call, app.client_with(&only).await));
                continue;
            }
            let reply = send(&theirs, &method, &path, &call).await;
            match call.theirs {
                Theirs::Refused(status, code) | Theirs::Always(status, code) => {
                    assert_eq!((reply.status, reply.code().as_str()), (status, code), "{id}");
                }
                Theirs::Empty(list) => assert_eq!(reply.expect(200).json()[list], json!([]), "{id}"),
                Theirs::Bare => assert_eq!(reply.expect(200).json(), json!([]), "{id}"),
                Theirs::Own => {}
            }
            own.push((id.to_owned(), method, path, call, app.client_with(&only).await));
        }
    }
    assert!(own.len() >= 24, "{}", own.len());
    // The same calls pass for whom they are meant, so that none above was refused for another reason.
    own.sort_by_key(|(id, ..)| rank(id));
    for (id, method, path, call, client) in &own {
        let reply = send(client, method, path, call).await;
        if let Theirs::Always(status, _) = call.theirs {
            assert_eq!(reply.status, status, "{id}");
            continue;
        }
        assert!(
            (200..300).contains(&reply.status),
            "{id}: {} {}",
            reply.status,
            reply.text
        );
    }
}

async fn every_operation_of_a_session_refuses_no_token_a_key_and_an_ended_session(app: TestApp) {
    let ended = session_token(&app).await;
    app.advance(Duration::from_secs(30 * 60));
    let key = app.admin().key().unwrap().to_owned();
    let document = app.anonymous().get("/openapi.json").await.json();
    let mut walked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let security = &operation["security"][0];
            let in_header = security["connect_session"].is_array();
            if !in_header && !security["connect_session_token"].is_array() {
                continue;
            }
            walked += 1;
            let method: Method = method.to_ascii_uppercase().parse().unwrap();
            let path = path.replace("{integration}", "twilio");
            for (token, code) in [
                (None, "missing_auth_header"),
                (Some(&key), "invalid_connect_session_token_format"),
                (Some(&ended), "unknown_connect_session_token"),
            ] {
                let query = token.filter(|_| !in_header);
                let query = query.map(|token| format!("?connect_session_token={token}"));
                let mut request = app
                    .anonymous()
                    .request(method.clone(), &format!("{path}{}", query.unwrap_or_default()))
                    .header("Content-Type", "application/json")
                    .body("{}");
                if let Some(token) = token.filter(|_| in_header) {
                    request = request.bearer_auth(token);
                }
                let reply = app.anonymous().send(request).await;
                assert_eq!(
                    (reply.status, reply.code().as_str()),
                    (401, code),
                    "{method} {path}"
                );
            }
        }
    }
    assert!(walked >= 5, "{walked}");
}
