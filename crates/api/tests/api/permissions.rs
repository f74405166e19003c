//! Valid keys that may not read what some syncs need: connecting reports it, and so do connections and syncs.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value as Json, json};
use testkit::{AppBuilder, TestApp, on_both_databases};
use wiremock::matchers::{header, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::connect_sessions::made;

/// Returns syncs with these names, whose lists have paths of the same names.
fn file(syncs: &[&str]) -> String {
    let mut text = r#"
display_name: Acme
auth_mode: API_KEY
proxy:
  base_url: https://api.acme.example
  headers: { authorization: "Bearer ${apiKey}" }
  verification: { endpoints: [/me] }
errors:
  code: code
  message: message
  unauthorized_codes: [key_restricted]
  hints: { no_scope: "Tick the box Read in Acme's settings." }
syncs:
"#
    .to_owned();
    for name in syncs {
        write!(
            text,
            "
  acme-{name}:
    description: Things
    model: Of-{name}
    table: acme_{name}
    runs: every hour
    request: {{ path: /{name} }}
    records: items
    key: id
    columns: {{ id: text, at: timestamp }}
    paginate:
      type: offset
      offset_name_in_request: skip
      limit_name_in_request: size
      limit: 250
    window: {{ column: at, from: since, format: unix_seconds, step: 1 day, retention: 90 days }}
    lookback: [{{ reach: 1 day }}]
"
        )
        .unwrap();
    }
    text
}

/// An app, and a provider that accepts the keys `good` and `poor`.
struct Acme {
    app: TestApp,
    provider: MockServer,
}

impl Acme {
    /// `refused` has the responses to the key `poor`, by path; every other response is an empty list.
    async fn beside(app: &TestApp, refused: &[(&str, ResponseTemplate)]) -> Self {
        let provider = MockServer::start().await;
        for (at, response) in refused {
            Mock::given(path(format!("/{at}")))
                .and(header("authorization", "Bearer poor"))
                .respond_with(response.clone())
                .mount(&provider)
                .await;
        }
        for key in ["Bearer good", "Bearer poor"] {
            Mock::given(header("authorization", key))
                .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "items": [] })))
                .mount(&provider)
                .await;
        }
        let mut names: Vec<&str> = refused.iter().map(|(at, _)| *at).collect();
        names.push("open");
        let app = AppBuilder::default()
            .provider_file("acme.yaml", &file(&names))
            .provider_url("acme", &provider.uri())
            .upstream(|options| {
                options.list_check = Duration::from_secs(3);
            })
            .start(app.store().dialect())
            .await
            .unwrap();
        Self { app, provider }
    }

    async fn connect(&self, key: &str) -> Json {
        let body = json!({ "connectionId": "mine", "apiKey": key });
        let reply = self.app.admin().post("/acme/connect", &body).await;
        reply.expect(201).json()
    }

    async fn shown(&self) -> Json {
        let shown = self
            .app
            .admin()
            .get("/connections/mine?provider_config_key=acme")
            .await;
        shown.expect(200).json()
    }

    async fn errors(&self) -> Json {
        let listed = self.app.admin().get("/connections").await.expect(200).json();
        assert_eq!(listed["connections"][0]["errors"], self.shown().await["errors"]);
        listed["connections"][0]["errors"].clone()
    }

    async fn states(&self) -> Vec<Json> {
        let path = "/sync/status?provider_config_key=acme&connection_id=mine&syncs=*";
        let states = self.app.admin().get(path).await.expect(200).json();
        states["syncs"].as_array().unwrap().clone()
    }

    async fn requests_for(&self, at: &str) -> Vec<Request> {
        let mut requests = self.provider.received_requests().await.unwrap();
        requests.retain(|request| request.url.path() == at);
        requests
    }
}

fn refusal(status: u16, body: &Json) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

fn forbidden() -> ResponseTemplate {
    refusal(
        403,
        &json!({ "code": "no_scope", "message": "Missing\nscope of poor: read" }),
    )
}

fn names(list: &Json) -> Vec<&str> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|entry| entry["sync"].as_str().unwrap()).collect()
}

#[on_both_databases]
async fn connecting_names_each_sync_that_the_key_may_not_read(app: TestApp) {
    let denied = refusal(401, &json!({ "message": "no" }));
    let by_code = refusal(400, &json!({ "code": "key_restricted" }));
    let acme = Acme::beside(
        &app,
        &[("users", forbidden()), ("bills", denied), ("notes", by_code)],
    )
    .await;

    let reported = acme.connect("poor").await;

    let unreadable = &reported["unreadable_syncs"];
    assert_eq!(
        names(unreadable),
        ["acme-users", "acme-bills", "acme-notes"],
        "{reported:#}"
    );
    assert_eq!(
        unreadable[0],
        json!({
            "sync": "acme-users",
            "code": "no_scope",
            "message": "the key may not read acme-users: Acme refused with HTTP 403, code no_scope: \"Missing scope of [secret]: read\". \
                Tick the box Read in Acme's settings.",
        })
    );
    let message = unreadable[1]["message"].as_str().unwrap();
    assert!(
        message.ends_with("connect again with a key that has it."),
        "{message}"
    );
    assert_eq!(
        acme.requests_for("/bills").await.len(),
        3,
        "a single 401 says nothing"
    );
    assert_eq!(acme.requests_for("/users").await.len(), 1);

    let errors = acme.errors().await;
    assert_eq!(names(&errors), ["acme-users", "acme-bills", "acme-notes"]);
    assert_eq!(
        (&errors[0]["type"], &errors[0]["variant"], &errors[0]["message"]),
        (&json!("sync"), &json!("base"), &unreadable[0]["message"])
    );
    for state in acme.states().await {
        let open = state["name"] == "acme-open";
        assert_eq!(state["problem"].is_null(), open, "{state:#}");
        assert!(open || state["problem"]["type"] == "permission", "{state:#}");
    }
    acme.app.run_due().await;
    let of_state =
        |states: Vec<Json>| -> Vec<Json> { states.iter().map(|state| state["status"].clone()).collect() };
    assert_eq!(
        of_state(acme.states().await),
        ["ERROR", "ERROR", "ERROR", "SUCCESS"]
    );
}

#[on_both_databases]
async fn an_import_and_a_front_end_get_the_same_list_of_unreadable_syncs(app: TestApp) {
    let acme = Acme::beside(&app, &[("users", forbidden())]).await;
    let body = json!({ "provider_config_key": "acme", "connection_id": "mine",
        "credentials": { "type": "API_KEY", "apiKey": "poor" } });
    let imported = acme
        .app
        .admin()
        .post("/connections", &body)
        .await
        .expect(201)
        .json();
    assert_eq!(names(&imported["errors"]), ["acme-users"]);
    assert_eq!(imported["errors"][0]["type"], "sync");

    let session = made(&acme.app, "", &json!({ "end_user": { "id": "u1" } })).await;
    let path = format!(
        "/api-auth/api-key/acme?connect_session_token={}",
        session["token"].as_str().unwrap()
    );
    let response = acme
        .app
        .anonymous()
        .post(&path, &json!({ "apiKey": "poor" }))
        .await;
    let response = response.expect(200).json();
    assert_eq!(names(&response["unreadableSyncs"]), ["acme-users"], "{response}");
}

#[on_both_databases]
async fn new_credentials_are_checked_and_clear_the_stored_problem(app: TestApp) {
    let acme = Acme::beside(&app, &[("users", forbidden())]).await;
    let reported = acme.connect("good").await;
    assert_eq!(reported.get("unreadable_syncs"), None, "{reported}");
    assert_eq!(acme.errors().await, json!([]));

    let path = "/connections/mine?provider_config_key=acme";
    let patch = |key: &str| json!({ "credentials": { "type": "API_KEY", "apiKey": key } });
    let reported = acme
        .app
        .admin()
        .patch(path, &patch("poor"))
        .await
        .expect(200)
        .json();
    assert_eq!(names(&reported["unreadable_syncs"]), ["acme-users"]);
    assert_eq!(names(&acme.errors().await), ["acme-users"]);

    let notes = json!({ "metadata": { "a": 1 } });
    let reported = acme.app.admin().patch(path, &notes).await.expect(200).json();
    assert_eq!(reported, json!({ "success": true }), "no request was sent");
    assert_eq!(names(&acme.errors().await), ["acme-users"]);

    let reported = acme
        .app
        .admin()
        .patch(path, &patch("good"))
        .await
        .expect(200)
        .json();
    assert_eq!(reported, json!({ "success": true }));
    assert_eq!(acme.errors().await, json!([]));
}

#[on_both_databases]
async fn other_failures_are_not_reported_as_missing_permissions(app: TestApp) {
    let limited = forbidden().insert_header("retry-after", "60");
    let acme = Acme::beside(
        &app,
        &[
            ("limited", limited),
            ("many", refusal(429, &json!({}))),
            ("down", refusal(503, &json!({}))),
            ("gone", refusal(404, &json!({}))),
            ("bad", refusal(400, &json!({ "code": "bad_request" }))),
        ],
    )
    .await;
    let reported = acme.connect("poor").await;
    assert_eq!(reported.get("unreadable_syncs"), None, "{reported}");
    assert_eq!(acme.errors().await, json!([]));
    assert_eq!(
        acme.requests_for("/down").await.len(),
        1,
        "requested once, not until it responds"
    );
}

#[on_both_databases]
async fn stray_401s_are_not_reported(app: TestApp) {
    let acme = Acme::beside(&app, &[]).await;
    let stray = Mock::given(path("/open")).respond_with(refusal(401, &json!({ "message": "no" })));
    let stray = stray.up_to_n_times(2).with_priority(1);
    stray.mount(&acme.provider).await;

    let reported = acme.connect("good").await;

    assert_eq!(reported.get("unreadable_syncs"), None, "{reported}");
    assert_eq!(acme.requests_for("/open").await.len(), 3);
}

#[on_both_databases]
async fn a_slow_provider_does_not_delay_connecting(app: TestApp) {
    let slow = forbidden().set_delay(Duration::from_mins(1));
    let acme = Acme::beside(&app, &[("slow", slow), ("users", forbidden())]).await;
    let began = std::time::Instant::now();
    let reported = acme.connect("poor").await;
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert_eq!(
        names(&reported["unreadable_syncs"]),
        ["acme-users"],
        "known refusals are shown"
    );
    assert_eq!(names(&acme.errors().await), ["acme-users"]);
}

#[on_both_databases]
async fn the_requests_are_small_and_use_the_window(app: TestApp) {
    let acme = Acme::beside(&app, &[]).await;
    acme.connect("good").await;
    let requests_for = acme.requests_for("/open").await;
    let queries: Vec<_> = requests_for
        .iter()
        .map(|request| request.url.query().unwrap())
        .collect();
    let since = acme.app.clock().now().as_micros() / 1_000_000 - 24 * 3_600;
    assert_eq!(queries, [format!("since={since}&skip=0&size=1")]);
}

#[on_both_databases]
async fn a_restricted_key_of_the_simulator_is_reported(app: TestApp) {
    let known = app.simulator().credentials();
    let body = json!({
        "connectionId": "my-twilio",
        "accountSid": known.account_sid,
        "apiKeySid": known.restricted_key_sid,
        "apiKeySecret": known.restricted_key_secret,
    });
    let reported = app
        .admin()
        .post("/twilio/connect", &body)
        .await
        .expect(201)
        .json();
    assert_eq!(
        names(&reported["unreadable_syncs"]),
        ["twilio-messages"],
        "{reported:#}"
    );
    let message = reported["unreadable_syncs"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("HTTP 403, code 70051: \"Authorization Failed\""),
        "{message}"
    );
    assert!(message.contains("Messages, read"), "{message}");

    let again = app
        .admin()
        .post("/twilio/connect", &app.connect_body("my-twilio"))
        .await;
    assert_eq!(again.expect(201).json().get("unreadable_syncs"), None);
    app.run_due().await;
    assert!(app.rows("my-twilio").await > 0);
}
