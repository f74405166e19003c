//! A second provider: another authorization, pages by offset, a list without dates that every run reads completely.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use testkit::{AppBuilder, Dialect, TestApp, on_both_databases};
use wiremock::matchers::{header, method};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::inspect::{newest_run, total};

const KEY: &str = "SG.abcdefghijklmnopqrstuv.wxyz";

/// SendGrid's list of bounces, by numbers of addresses.
#[derive(Clone, Default)]
struct Bounces {
    listed: Arc<Mutex<BTreeSet<u64>>>,
    revoked: Arc<Mutex<bool>>,
}

impl Respond for Bounces {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        if *self.revoked.lock().unwrap() {
            let refusal = json!({ "errors": [{ "message": "authorization required", "field": null }] });
            return ResponseTemplate::new(401).set_body_json(refusal);
        }
        if request.url.path() == "/v3/scopes" {
            return ResponseTemplate::new(200).set_body_json(json!({ "scopes": ["suppression.read"] }));
        }
        let number = |name: &str| {
            let found = request.url.query_pairs().find(|(key, _)| key == name);
            found.map_or(0, |(_, value)| value.parse::<usize>().unwrap())
        };
        let listed = self.listed.lock().unwrap();
        let page: Vec<Json> = listed
            .iter()
            .skip(number("offset"))
            .take(number("limit"))
            .map(|number| {
                json!({
                    "created": 1_790_000_000 + number,
                    "email": format!("{number}@example.org"),
                    "reason": "550 5.1.1 no such user",
                    "status": "5.1.1",
                    "ip": "192.0.2.1",
                })
            })
            .collect();
        ResponseTemplate::new(200).set_body_json(page)
    }
}

/// Runs `test` with an app that has a connection to a SendGrid with these bounces.
async fn with<F: Future<Output = ()>>(
    dialect: Dialect,
    bounces: &Bounces,
    test: impl FnOnce(TestApp, MockServer) -> F,
) {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(header("authorization", format!("Bearer {KEY}")))
        .respond_with(bounces.clone())
        .mount(&server)
        .await;
    let builder = AppBuilder::default().provider_url("sendgrid", &server.uri());
    let Some(app) = builder.start(dialect).await else {
        return;
    };
    let body = json!({ "connectionId": "mail", "apiKey": KEY });
    app.admin().post("/sendgrid/connect", &body).await.expect(201);
    app.run_due().await;
    test(app, server).await;
}

async fn bounces(app: &TestApp) -> Vec<Json> {
    let listed = app
        .admin()
        .get_as("/sendgrid/bounces?connectionId=mail", "application/x-ndjson")
        .await
        .expect(200);
    listed
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn next_hour(app: &TestApp) {
    app.advance(Duration::from_mins(67));
    app.run_due().await;
}

#[on_both_databases]
async fn the_list_is_kept_equal_to_its_source(dialect: Dialect) {
    let source = Bounces::default();
    source.listed.lock().unwrap().extend(0..1_234);
    with(dialect, &source, |app, server| {
        equal_to_its_source(app, server, source.clone())
    })
    .await;
}

async fn equal_to_its_source(app: TestApp, server: MockServer, source: Bounces) {
    let rows = bounces(&app).await;
    assert_eq!(rows.len(), 1_234);
    assert_eq!(
        (&rows[0]["email"], &rows[0]["status"], &rows[0]["created"]),
        (
            &json!("1233@example.org"),
            &json!("5.1.1"),
            &json!("2026-09-21T14:33:53Z")
        ),
        "newest first"
    );
    let pages = server.received_requests().await.unwrap();
    let pages: Vec<&str> = pages
        .iter()
        .filter(|request| request.url.path() == "/v3/suppression/bounces")
        .filter_map(|request| request.url.query())
        .collect();
    assert_eq!(
        pages,
        [
            "offset=0&limit=1",
            "limit=500&offset=0",
            "limit=500&offset=500",
            "limit=500&offset=1000",
            "limit=500&offset=1234"
        ],
        "one record when the key is connected; then a short page is no proof of the end"
    );

    source.listed.lock().unwrap().retain(|number| number % 10 != 0);
    source.listed.lock().unwrap().insert(9_000);
    next_hour(&app).await;
    assert_eq!(bounces(&app).await.len(), 1_111);
    let run = newest_run(&app).await;
    assert_eq!(
        (&run["kind"], &run["added"], &run["deleted"], &run["unchanged"]),
        (&json!("full"), &json!(1), &json!(124), &json!(1_110))
    );

    source.listed.lock().unwrap().extend([10, 20]);
    next_hour(&app).await;
    assert_eq!(bounces(&app).await.len(), 1_113);
    let run = newest_run(&app).await;
    assert_eq!(
        (&run["added"], &run["updated"], &run["deleted"]),
        (&json!(0), &json!(2), &json!(0)),
        "what comes back is the same row again"
    );
    assert_eq!(total(&app, "added").await, 1_235);
}

#[on_both_databases]
async fn a_list_that_loses_too_much_marks_nothing(dialect: Dialect) {
    let source = Bounces::default();
    source.listed.lock().unwrap().extend(0..100);
    with(dialect, &source, |app, _server| {
        marks_nothing(app, source.clone())
    })
    .await;
}

async fn marks_nothing(app: TestApp, source: Bounces) {
    source.listed.lock().unwrap().retain(|number| *number >= 31);
    next_hour(&app).await;

    let run = newest_run(&app).await;
    assert_eq!(
        (&run["status"], &run["error"]["code"], &run["deleted"]),
        (&json!("failed"), &json!("delete_guard"), &json!(0))
    );
    assert_eq!(
        bounces(&app).await.len(),
        100,
        "31 of 100 are more than three tenths"
    );

    source.listed.lock().unwrap().insert(30);
    next_hour(&app).await;

    assert_eq!(newest_run(&app).await["deleted"], 30);
    assert_eq!(bounces(&app).await.len(), 70);
}

#[on_both_databases]
async fn a_refused_key_is_reported(dialect: Dialect) {
    let source = Bounces::default();
    source.listed.lock().unwrap().extend(0..20);
    with(dialect, &source, |app, _server| is_told(app, source.clone())).await;
}

async fn is_told(app: TestApp, source: Bounces) {
    *source.revoked.lock().unwrap() = true;
    next_hour(&app).await;

    let run = newest_run(&app).await;
    assert_eq!(
        (&run["status"], &run["error"]["code"]),
        (&json!("failed"), &json!("invalid_credentials"))
    );
    assert_eq!(bounces(&app).await.len(), 20, "rows stay");
    let path = "/connections/mail?provider_config_key=sendgrid";
    let shown = app.admin().get(path).await.expect(200).json();
    assert!(
        shown["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("authorization required"),
        "{shown}"
    );
}
