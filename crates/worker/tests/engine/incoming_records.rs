//! Events with whole records, of a provider that signs with a time as Stripe does: newer by a column or by the event's time, deletions.

use std::fmt::Write as _;
use std::time::Duration;

use ring::hmac;
use serde_json::{Value as Json, json};
use testkit::{AppBuilder, Dialect, Reply, TestApp, on_both_databases};
use wiremock::matchers::{path, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

const FILE: &str = r#"
display_name: Acme
auth_mode: API_KEY
proxy:
  base_url: https://api.acme.example
  headers: { authorization: "Bearer ${apiKey}" }
connection_config:
  webhookSecret: { title: Secret, secret: true }
errors: { code: code }
syncs:
  acme-orders:
    description: Orders
    model: Order
    table: acme_orders
    runs: every hour
    request: { path: /orders }
    records: items
    key: id
    deletes: { track: true, guard: 1 }
    columns: { id: text, state: text, note: text, updated_at: timestamp }
    paginate: { type: none }
  acme-charges:
    description: Charges
    model: Charge
    table: acme_charges
    runs: every hour
    request: { path: /charges }
    records: items
    key: id
    columns: { id: text, state: text }
    paginate: { type: none }
    reread: { path: "/charges/${record.id}" }
webhooks:
  signature:
    header: Acme-Signature
    entry: v1
    signed: "${timestamp}.${body}"
    timestamp: { from: "${signature.t}" }
    secret: "${connectionConfig.webhookSecret}"
  id: "${body.id}"
  type: "${body.type}"
  events:
    order.deleted: { sync: acme-orders, key: "${body.data.id}", deletes: true }
    "order.*": { sync: acme-orders, record: data, newer_by: { column: updated_at }, keep: note }
    "charge.*": { sync: acme-charges, record: data, newer_by: { time: "${body.created}", parse: unix_seconds } }
"#;

struct Acme {
    app: TestApp,
    server: MockServer,
    url: String,
}

async fn list(server: &MockServer, name: &str, items: Json) {
    Mock::given(path(format!("/{name}")))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "items": items })))
        .mount(server)
        .await;
}

impl Acme {
    async fn on(dialect: Dialect) -> Option<Self> {
        let server = MockServer::start().await;
        list(&server, "orders", json!([])).await;
        list(&server, "charges", json!([])).await;
        let app = AppBuilder::default()
            .provider_file("acme.yaml", FILE)
            .provider_url("acme", &server.uri())
            .start(dialect)
            .await?;
        let body = json!({ "connectionId": "mine", "apiKey": "good", "webhookSecret": "whsec_test" });
        app.admin().post("/acme/connect", &body).await.expect(201);
        app.run_due().await;
        let shown = app.admin().get("/acme/webhooks/address?connectionId=mine").await;
        let url = shown.expect(200).json()["data"]["url"]
            .as_str()
            .unwrap()
            .to_owned();
        Some(Self { app, server, url })
    }

    /// Sends an event, signed as <https://docs.stripe.com/webhooks#verify-manually> says.
    async fn send(&self, event: &Json) -> Reply {
        let at = self.app.clock().now().as_micros() / 1_000_000;
        let body = event.to_string();
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"whsec_test");
        let signature = hmac::sign(&key, format!("{at}.{body}").as_bytes());
        let mut hex = String::new();
        for byte in signature.as_ref() {
            write!(hex, "{byte:02x}").unwrap();
        }
        let path = url::Url::parse(&self.url).unwrap().path().to_owned();
        let request = self
            .app
            .anonymous()
            .request(reqwest::Method::POST, &path)
            .header("Content-Type", "application/json")
            .header("Acme-Signature", format!("t={at},v1={hex}"))
            .body(body);
        self.app.anonymous().send(request).await
    }

    async fn receive(&self, id: &str, kind: &str, data: Json, created: i64) {
        let event = json!({ "id": id, "type": kind, "created": created, "data": data });
        self.send(&event).await.expect(200);
        self.app.run_due().await;
    }

    async fn rows(&self, of: &str) -> Vec<Json> {
        let path = format!("/acme/{of}?connectionId=mine");
        let listed = self
            .app
            .admin()
            .get_as(&path, "application/x-ndjson")
            .await
            .expect(200);
        let lines = listed.text.lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Returns key, state and note of each live order.
    async fn orders(&self) -> Vec<String> {
        let rows = self.rows("orders").await;
        let text = |row: &Json, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let words = |row: &Json| format!("{} {} {}", text(row, "id"), text(row, "state"), text(row, "note"));
        rows.iter().map(words).collect()
    }

    async fn charge(&self) -> String {
        self.rows("charges").await[0]["state"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

fn order(state: &str, updated: &str) -> Json {
    json!({ "id": "o1", "state": state, "updated_at": updated })
}

#[on_both_databases]
async fn whole_records_are_written_by_their_own_time_and_keep_what_they_lack(dialect: Dialect) {
    let Some(acme) = Acme::on(dialect).await else {
        return;
    };
    let mut first = order("open", "2026-11-04T12:00:00Z");
    first["note"] = json!("by hand");
    acme.receive("e1", "order.created", first, 0).await;
    assert_eq!(acme.orders().await, ["o1 open by hand"]);
    acme.receive("e3", "order.updated", order("paid", "2026-11-04T12:00:02Z"), 0)
        .await;
    assert_eq!(acme.orders().await, ["o1 paid by hand"]);
    acme.receive("e2", "order.updated", order("late", "2026-11-04T12:00:01Z"), 0)
        .await;
    assert_eq!(acme.orders().await, ["o1 paid by hand"]);
    acme.receive("e4", "order.deleted", json!({ "id": "o1" }), 0)
        .await;
    assert!(acme.orders().await.is_empty());
    acme.receive("e5", "order.updated", order("ghost", "2026-11-04T12:00:03Z"), 0)
        .await;
    assert!(
        acme.orders().await.is_empty(),
        "a late event does not bring a deleted row back"
    );
    acme.receive("e6", "unknown.type", json!({}), 0).await;
}

#[on_both_databases]
async fn records_without_a_time_are_compared_by_the_time_of_the_event(dialect: Dialect) {
    let Some(acme) = Acme::on(dialect).await else {
        return;
    };
    let now = acme.app.clock().now().as_micros() / 1_000_000;
    let charge = |state: &str| json!({ "id": "c1", "state": state });
    acme.receive("e2", "charge.updated", charge("captured"), now + 2)
        .await;
    acme.receive("e1", "charge.created", charge("pending"), now).await;
    assert_eq!(acme.charge().await, "captured");
    acme.receive("e3", "charge.updated", charge("refunded"), now + 3)
        .await;
    assert_eq!(acme.charge().await, "refunded");

    // A run has written the row since, so the event alone does not say which is newer.
    acme.app.advance(Duration::from_hours(2));
    acme.server.reset().await;
    list(&acme.server, "orders", json!([])).await;
    list(&acme.server, "charges", json!([charge("disputed")])).await;
    Mock::given(path_regex("^/charges/c1$"))
        .respond_with(ResponseTemplate::new(200).set_body_json(charge("truth")))
        .expect(1)
        .mount(&acme.server)
        .await;
    acme.app.run_due().await;
    assert_eq!(acme.charge().await, "disputed");
    acme.receive("e4", "charge.updated", charge("older"), now + 60)
        .await;
    assert_eq!(acme.charge().await, "truth");
}

#[on_both_databases]
async fn an_event_is_retried_while_its_record_cannot_be_read_and_then_fails(dialect: Dialect) {
    let Some(acme) = Acme::on(dialect).await else {
        return;
    };
    acme.server.reset().await;
    list(&acme.server, "orders", json!([])).await;
    list(&acme.server, "charges", json!([{ "id": "c1", "state": "new" }])).await;
    acme.app.advance(Duration::from_hours(2));
    acme.app.run_due().await;
    Mock::given(path_regex("^/charges/c1$"))
        .respond_with(ResponseTemplate::new(403))
        .mount(&acme.server)
        .await;
    let old = json!({ "id": "c1", "state": "old" });
    acme.receive("e1", "charge.updated", old, 1_000).await;
    let state = async || {
        let listed = acme.app.admin().get("/webhook-events").await.expect(200).json();
        let event = listed["events"][0].clone();
        (
            event["status"].as_str().unwrap().to_owned(),
            event["attempts"].as_i64().unwrap(),
        )
    };
    assert_eq!(state().await, ("pending".to_owned(), 1));
    for _ in 0..10 {
        acme.app.advance(Duration::from_mins(61));
        acme.app.run_due().await;
    }
    assert_eq!(state().await, ("failed".to_owned(), 10));
    assert_eq!(acme.charge().await, "new");
    let feed = acme
        .app
        .admin()
        .get("/events?types=provider.event")
        .await
        .expect(200)
        .json();
    assert_eq!(
        feed["events"].as_array().unwrap().len(),
        1,
        "the app gets it all the same"
    );
}

#[on_both_databases]
async fn of_events_of_one_second_the_provider_says_which_is_newer(dialect: Dialect) {
    let Some(acme) = Acme::on(dialect).await else {
        return;
    };
    let now = acme.app.clock().now().as_micros() / 1_000_000;
    let charge = |state: &str| json!({ "id": "c1", "state": state });
    Mock::given(path_regex("^/charges/c1$"))
        .respond_with(ResponseTemplate::new(200).set_body_json(charge("captured")))
        .expect(1)
        .mount(&acme.server)
        .await;
    acme.receive("e2", "charge.updated", charge("captured"), now)
        .await;
    acme.receive("e3", "charge.updated", charge("captured"), now)
        .await;
    acme.receive("e1", "charge.created", charge("pending"), now).await;
    assert_eq!(acme.charge().await, "captured");

    // Orders cannot be read one by one, so their sync runs.
    let at = "2026-11-04T12:00:00Z";
    acme.receive("e5", "order.updated", order("paid", at), now).await;
    acme.server.reset().await;
    list(&acme.server, "orders", json!([order("truth", at)])).await;
    list(&acme.server, "charges", json!([])).await;
    acme.receive("e4", "order.created", order("open", at), now).await;
    acme.app.run_due().await;
    assert_eq!(acme.orders().await, ["o1 truth "]);
}

#[on_both_databases]
async fn a_key_that_no_database_stores_keeps_no_other_event_back(dialect: Dialect) {
    let Some(acme) = Acme::on(dialect).await else {
        return;
    };
    acme.server.reset().await;
    for (id, key) in [("e1", "o\u{0}1"), ("e2", "o2"), ("e\u{0}3", "o\u{0}3")] {
        let at = "2026-11-04T12:00:00Z";
        let data = json!({ "id": key, "state": "open\u{0}", "updated_at": at });
        for kind in ["order.updated", "order.deleted", "charge.updated"] {
            let event = json!({ "id": format!("{id}{kind}"), "type": kind, "created": 1, "data": data });
            acme.send(&event).await.expect(200);
        }
    }
    acme.app.run_due().await;
    let listed = acme.app.admin().get("/webhook-events").await.expect(200).json();
    let listed = listed["events"].as_array().unwrap();
    assert_eq!(listed.len(), 9);
    for event in listed {
        assert_eq!(
            (&event["status"], &event["attempts"]),
            (&json!("processed"), &json!(1))
        );
    }
    assert!(acme.orders().await.is_empty());
    assert_eq!(acme.rows("charges").await.len(), 3);
}
