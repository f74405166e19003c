//! Sends every operation of the document: each refuses a missing key, a key without its scope, and another environment's object.

mod calls;

use std::time::Duration;

use gateway::Scope;
use reqwest::Method;
use serde_json::json;
use testkit::{AppBuilder, Client, Reply, TestApp, on_both_databases};

use self::calls::{Call, Theirs, Things, call, fill, rank};
use crate::connect_sessions::session_token;

/// Operations of other providers, which have no connection here; their routes have the same code.
fn elsewhere(path: &str, app: &TestApp) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    first != "twilio" && app.gateway().registry.get(first).is_some()
}

async fn send(client: &Client, method: &Method, path: &str, call: &Call) -> Reply {
    // Headers that select the connection for the proxy, the feed and actions; other routes ignore them.
    let request = client
        .request(method.clone(), &format!("{path}{}", call.query))
        .header("Provider-Config-Key", "twilio")
        .header("Connection-Id", "my-twilio");
    let request = match &call.body {
        Some(body) => request
            .header("Content-Type", "application/json")
            .body(body.to_string()),
        None => request,
    };
    client.send(request).await
}

/// A response to HEAD has no body with a code.
fn assert_refused(reply: &Reply, method: &Method, (status, code): (u16, &str), id: &str) {
    assert_eq!(reply.status, status, "{id}");
    if *method != Method::HEAD {
        assert_eq!(reply.code(), code, "{id}");
    }
}

#[on_both_databases(AppBuilder::default().with_public_url())]
async fn every_operation_refuses_a_missing_key_a_missing_scope_and_the_object_of_another_environment(
    app: TestApp,
) {
    app.connect_twilio().await;
    app.connect_as(app.admin(), "another").await;
    app.run_due().await;
    let run = app.admin().get("/sync/runs").await.json()["runs"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let feed = app
        .admin()
        .request(Method::GET, "/records?model=Message")
        .header("Provider-Config-Key", "twilio")
        .header("Connection-Id", "my-twilio");
    let feed = app.admin().send(feed).await.expect(200).json();
    let cursor = feed["records"][0]["_nango_metadata"]["cursor"].as_str().unwrap();
    let things = Things::make(&app).await;
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
            let path = fill(id, &things.fill(id, path), &run, &key);
            let call = call(id, &app, cursor);
            let needed = scopes[0].as_str().unwrap();
            let (others, only): (Vec<Scope>, Vec<Scope>) =
                Scope::ALL.iter().partition(|scope| scope.as_str() != needed);
            // A key that may see credentials may see their connection.
            let others: Vec<Scope> = others
                .into_iter()
                .filter(|scope| scope.as_str().replace("_credentials", "") != needed)
                .collect();

            let reply = send(app.anonymous(), &method, &path, &call).await;
            assert_refused(&reply, &method, (401, "missing_auth_header"), id);
            let reply = send(&app.client_with(&others).await, &method, &path, &call).await;
            assert_refused(&reply, &method, (403, "forbidden"), id);
            if matches!(call.theirs, Theirs::Own) {
                own.push((id.to_owned(), method, path, call, app.client_with(&only).await));
                continue;
            }
            let reply = send(&theirs, &method, &path, &call).await;
            match call.theirs {
                Theirs::Refused(status, code) | Theirs::Always(status, code) => {
                    assert_refused(&reply, &method, (status, code), id);
                }
                Theirs::Empty(list) => assert_eq!(reply.expect(200).json()[list], json!([]), "{id}"),
                Theirs::Bare => assert_eq!(reply.expect(200).json(), json!([]), "{id}"),
                Theirs::Own => {}
            }
            own.push((id.to_owned(), method, path, call, app.client_with(&only).await));
        }
    }
    assert!(own.len() >= 24, "{}", own.len());
    // The same requests succeed with the right key, so none above was refused for another reason.
    own.sort_by_key(|(id, ..)| rank(id));
    for (id, method, path, call, client) in &own {
        // The response of the provider is passed on.
        let of_provider = id.starts_with("proxy");
        if *method == Method::GET && !of_provider {
            let all_scopes = send(app.admin(), method, path, call).await;
            assert_eq!(
                holds_a_credential(&app, &all_scopes),
                SHOW_CREDENTIALS.contains(&id.as_str()),
                "{id}"
            );
        }
        let reply = send(client, method, path, call).await;
        assert!(of_provider || !holds_a_credential(&app, &reply), "{id}");
        if let Theirs::Always(status, _) = call.theirs {
            assert_eq!(reply.status, status, "{id}");
            continue;
        }
        // Or reach the provider, which may respond anything.
        assert!(
            (200..300).contains(&reply.status) || reply.headers.contains_key("trunkline-upstream-status"),
            "{id}: {} {}",
            reply.status,
            reply.text
        );
    }
}

/// Operations whose responses hold credentials for a key with the scope; so does an import, which has no GET.
const SHOW_CREDENTIALS: [&str; 2] = ["get_connection", "get_connection_deprecated"];

fn holds_a_credential(app: &TestApp, reply: &Reply) -> bool {
    let known = app.simulator().credentials();
    [&known.main_key_secret, &known.auth_token]
        .iter()
        .any(|secret| reply.text.contains(secret.as_str()))
}

#[on_both_databases]
async fn every_session_operation_refuses_a_missing_token_a_key_and_an_ended_session(app: TestApp) {
    let ended = session_token(&app).await;
    app.advance(Duration::from_mins(30));
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
