//! One walk over the document: every operation refuses no key, a key without its scope, and another environment's object.

use gateway::Scope;
use reqwest::Method;
use serde_json::{Value as Json, json};
use testkit::{Client, Reply, TestApp, on_both_databases};

on_both_databases!(every_operation_refuses_no_key_a_key_without_its_scope_and_anothers_object);

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
    /// An empty list under this name.
    Empty(&'static str),
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
        "list_connections" => of("", Theirs::Empty("connections")),
        "get_connection" => of("?provider_config_key=twilio", Theirs::Refused(404, "not_found")),
        "delete_connection" => of(
            "?provider_config_key=twilio",
            Theirs::Refused(400, "unknown_connection"),
        ),
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
        "connect" | "connect_twilio" => Call {
            query: "",
            body: Some(app.connect_body("walked")),
            theirs: Theirs::Own,
        },
        other => panic!("the walk does not know how to call {other}: say so in `call`"),
    }
}

/// Operations of other providers, which have no connection here; what they are made of is the same.
fn elsewhere(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    !matches!(first, "twilio" | "connections" | "sync" | "{integration}")
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
    app.run_due().await;
    let run = app.admin().get("/sync/runs").await.json()["runs"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let theirs = app.environment("theirs").await;
    let document = app.anonymous().get("/openapi.json").await.json();
    let mut own = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(scopes) = operation["security"][0]["api_key"].as_array() else {
                continue;
            };
            if elsewhere(path) {
                continue;
            }
            let id = operation["operationId"].as_str().unwrap();
            let method: Method = method.to_ascii_uppercase().parse().unwrap();
            let path = path
                .replace("{integration}", "twilio")
                .replace("{plural}", "messages");
            let path = path.replace("{connection_id}", "my-twilio").replace("{id}", &run);
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
            let reply = send(&theirs, &method, &path, &call).await;
            match call.theirs {
                Theirs::Refused(status, code) => {
                    assert_eq!((reply.status, reply.code().as_str()), (status, code), "{id}");
                }
                Theirs::Empty(list) => assert_eq!(reply.expect(200).json()[list], json!([]), "{id}"),
                Theirs::Own => {}
            }
            own.push((id.to_owned(), method, path, call, app.client_with(&only).await));
        }
    }
    assert!(own.len() >= 12, "{}", own.len());
    // The same calls pass for whom they are meant, so that none above was refused for another reason.
    own.sort_by_key(|(id, ..)| id == "delete_connection");
    for (id, method, path, call, client) in &own {
        let reply = send(client, method, path, call).await;
        assert!(
            (200..300).contains(&reply.status),
            "{id}: {} {}",
            reply.status,
            reply.text
        );
    }
}
