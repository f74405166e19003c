//! Variants of syncs, and the frequency of a connection's sync.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value as Json, json};
use store::records::{self, ChangeQuery};
use testkit::{AppBuilder, Client, Dialect, Reply, TestApp, on_both_databases};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

const FILE: &str = r#"
display_name: Acme
auth_mode: API_KEY
proxy:
  base_url: https://api.acme.example
  headers: { authorization: "Bearer ${apiKey}" }
  verification: { endpoints: [/me] }
syncs:
  acme-orders:
    description: Every order of a region
    model: Order
    table: acme_orders
    runs: every hour
    request: { path: "/regions/${variant}/orders", query: { region: "${variant}" } }
    records: orders
    paginate: { type: cursor, cursor_name_in_request: after, cursor_path_in_response: next }
    key: number
    deletes: { track: true }
    columns: { number: text, region: text, total: decimal }
    filters: [region]
"#;

/// Responds with three orders of the requested region.
struct Orders;

impl Respond for Orders {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let region = request.url.path().split('/').nth(2).unwrap();
        assert_eq!(request.url.query(), Some(format!("region={region}").as_str()));
        let orders: Vec<Json> = (0..3)
            .map(
                |number| json!({ "number": format!("{region}-{number}"), "region": region, "total": "1.50" }),
            )
            .collect();
        ResponseTemplate::new(200).set_body_json(json!({ "orders": orders, "next": null }))
    }
}

/// Runs `test` with an app that has the connections `a` and `b` to that provider.
async fn with<F: Future<Output = ()>>(dialect: Dialect, test: impl FnOnce(TestApp) -> F) {
    let server = MockServer::start().await;
    Mock::given(path("/me"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&server)
        .await;
    Mock::given(wiremock::matchers::path_regex("^/regions/[^/]+/orders$"))
        .respond_with(Orders)
        .mount(&server)
        .await;
    let builder = AppBuilder::default()
        .provider_file("acme.yaml", FILE)
        .provider_url("acme", &server.uri());
    let Some(app) = builder.start(dialect).await else {
        return;
    };
    for name in ["a", "b"] {
        let body = json!({ "connectionId": name, "apiKey": "k" });
        app.admin().post("/acme/connect", &body).await.expect(201);
    }
    app.run_due().await;
    test(app).await;
}

async fn send(client: &Client, method: Method, path: &str, body: Json) -> Reply {
    let request = client
        .request(method, path)
        .header("Content-Type", "application/json");
    client.send(request.body(body.to_string())).await
}

async fn variant(app: &TestApp, method: Method, connection: &str, name: &str) -> Reply {
    let body = json!({ "provider_config_key": "acme", "connection_id": connection });
    send(
        app.admin(),
        method,
        &format!("/sync/acme-orders/variant/{name}"),
        body,
    )
    .await
}

async fn listed(app: &TestApp, connection: &str, query: &str) -> Vec<String> {
    let path = format!("/acme/orders?connectionId={connection}&{query}");
    let page = app.admin().get(&path).await.expect(200).json();
    let rows = page["orders"].as_array().unwrap().iter();
    let mut numbers: Vec<String> = rows
        .map(|row| row["number"].as_str().unwrap().to_owned())
        .collect();
    numbers.sort();
    numbers
}

async fn feed(app: &TestApp, connection: &str, query: &str) -> Reply {
    let request = app
        .admin()
        .request(Method::GET, &format!("/records?model=Order&{query}"));
    let request = request.header("Provider-Config-Key", "acme");
    app.admin()
        .send(request.header("Connection-Id", connection))
        .await
}

async fn states(app: &TestApp, connection: &str, syncs: &str) -> Vec<Json> {
    let path = format!("/sync/status?syncs={syncs}&provider_config_key=acme&connection_id={connection}");
    let shown = app.admin().get(&path).await.expect(200).json();
    shown["syncs"].as_array().unwrap().clone()
}

/// Returns all rows of a variant's table, read without the API.
async fn rows(app: &TestApp, connection: i64, name: &str) -> usize {
    let gateway = app.gateway();
    let (provider, sync) = ("acme".parse().unwrap(), "acme-orders".parse().unwrap());
    let table = gateway.table(&provider, &sync, &name.parse().unwrap()).await;
    let table = table.unwrap().unwrap();
    let query = ChangeQuery {
        limit: 100,
        ..ChangeQuery::default()
    };
    let connection = domain::ConnectionId::from_raw(connection);
    let read = app
        .store()
        .read(move |c| records::changes(c, &table.sql, connection, &query));
    read.await.unwrap().len()
}

async fn has_rows_and_runs_of_its_own(app: TestApp) {
    let made = variant(&app, Method::POST, "a", "eu").await.expect(200).json();
    variant(&app, Method::POST, "b", "eu").await.expect(200);
    app.run_due().await;

    let shown = &states(&app, "a", "acme-orders::eu").await[0];
    assert_eq!(
        made,
        json!({ "id": shown["id"], "name": "acme-orders", "variant": "eu" })
    );
    assert_eq!(shown["recordCount"], json!({ "Order": 3 }));
    assert_eq!(states(&app, "a", "*").await.len(), 2);
    assert_eq!(listed(&app, "a", "").await, ["base-0", "base-1", "base-2"]);
    assert_eq!(
        listed(&app, "a", "variant=base").await,
        ["base-0", "base-1", "base-2"]
    );
    assert_eq!(listed(&app, "a", "variant=eu").await, ["eu-0", "eu-1", "eu-2"]);
    let page = feed(&app, "a", "variant=eu").await.expect(200).json();
    assert_eq!(page["records"].as_array().unwrap().len(), 3);
    let cursor = page["records"][0]["_nango_metadata"]["cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    let base = feed(&app, "a", &format!("cursor={cursor}")).await.expect(400);
    assert_eq!(base.fields(), ["cursor"], "it belongs to its variant");

    // It is paused and triggered separately, in both spellings.
    let one = |sync: Json| json!({ "provider_config_key": "acme", "connection_id": "a", "syncs": [sync] });
    let apart = one(json!({ "name": "acme-orders", "variant": "eu" }));
    send(app.admin(), Method::POST, "/sync/pause", apart.clone())
        .await
        .expect(200);
    let status = states(&app, "a", "acme-orders::eu,acme-orders").await;
    let reported: Vec<(&Json, &Json)> = status
        .iter()
        .map(|sync| (&sync["variant"], &sync["status"]))
        .collect();
    assert_eq!(
        reported,
        [
            (&json!("base"), &json!("SUCCESS")),
            (&json!("eu"), &json!("PAUSED"))
        ]
    );
    let mut emptied = one(json!("acme-orders::eu"));
    emptied["opts"] = json!({ "reset": true, "emptyCache": true });
    let started = send(app.admin(), Method::POST, "/sync/trigger", emptied)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            started["runs"].as_array().unwrap().len(),
            &started["runs"][0]["variant"]
        ),
        (1, &json!("eu"))
    );
    assert_eq!((rows(&app, 1, "eu").await, rows(&app, 1, "base").await), (0, 3));
    app.run_due().await;
    assert_eq!(listed(&app, "a", "variant=eu").await, ["eu-0", "eu-1", "eu-2"]);
    let later = feed(&app, "a", &format!("variant=eu&cursor={cursor}"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        later["records"].as_array().unwrap().len(),
        3,
        "numbers go on behind those of before"
    );
    goes_without_the_others(&app).await;
}

async fn goes_without_the_others(app: &TestApp) {
    assert_eq!(
        variant(app, Method::DELETE, "a", "eu").await.expect(200).json(),
        json!({ "success": true })
    );
    assert_eq!(
        variant(app, Method::DELETE, "a", "eu").await.expect(404).code(),
        "not_found"
    );
    assert_eq!(
        (rows(app, 1, "eu").await, rows(app, 2, "eu").await),
        (0, 3),
        "another connection's stay"
    );
    assert_eq!(listed(app, "a", "").await.len(), 3);
    assert_eq!(
        feed(app, "a", "variant=eu").await.expect(400).fields(),
        ["variant"]
    );
    assert_eq!(states(app, "a", "*").await.len(), 1);
    variant(app, Method::POST, "a", "eu").await.expect(200);
    app.run_due().await;
    assert_eq!(listed(app, "a", "variant=eu").await.len(), 3);

    app.admin()
        .delete("/connections/b?provider_config_key=acme")
        .await
        .expect(200);
    assert_eq!(
        (
            rows(app, 2, "eu").await,
            rows(app, 2, "base").await,
            rows(app, 1, "eu").await
        ),
        (0, 0, 3)
    );
}

async fn is_refused(app: TestApp) {
    let create = async |sync: &str, name: &str, integration: &str, connection: &str| {
        let body = json!({ "provider_config_key": integration, "connection_id": connection });
        send(
            app.admin(),
            Method::POST,
            &format!("/sync/{sync}/variant/{name}"),
            body,
        )
        .await
    };
    variant(&app, Method::POST, "a", "twice").await.expect(200);
    for (sync, name, integration, connection, code) in [
        ("acme-orders", "base", "acme", "a", "invalid_variant"),
        ("acme-orders", "twice", "acme", "a", "sync_variant_already_exists"),
        ("acme-orders", "a%20b", "acme", "a", "invalid_uri_params"),
        ("acme-other", "eu", "acme", "a", "unknown_sync"),
        ("acme-orders", "eu", "none", "a", "unknown_provider_config"),
        ("acme-orders", "eu", "acme", "none", "unknown_connection"),
    ] {
        let reply = create(sync, name, integration, connection).await;
        assert_eq!(
            reply.expect(400).code(),
            code,
            "{sync} {name} {integration} {connection}"
        );
    }
    let base = variant(&app, Method::DELETE, "a", "base").await.expect(400);
    assert_eq!(base.code(), "invalid_variant");
    for number in 1..100 {
        variant(&app, Method::POST, "a", &format!("Region-{number}"))
            .await
            .expect(200);
    }
    let capped = variant(&app, Method::POST, "a", "more").await.expect(400);
    assert_eq!(capped.code(), "resource_capped");
    variant(&app, Method::POST, "b", "more").await.expect(200);
    variant(&app, Method::DELETE, "a", "Region-7").await.expect(200);
    variant(&app, Method::POST, "a", "more").await.expect(200);
}

#[on_both_databases]
async fn a_variant_has_rows_and_runs_of_its_own(dialect: Dialect) {
    with(dialect, has_rows_and_runs_of_its_own).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_variant_is_refused() {
    with(Dialect::Sqlite, is_refused).await;
}

async fn set(app: &TestApp, frequency: Json) -> Reply {
    let body = json!({
        "sync_name": "twilio-messages", "provider_config_key": "twilio", "connection_id": "my-twilio", "frequency": frequency
    });
    send(
        app.admin(),
        Method::PUT,
        "/sync/update-connection-frequency",
        body,
    )
    .await
}

async fn twilio(app: &TestApp) -> Json {
    let path = "/sync/status?syncs=*&provider_config_key=twilio&connection_id=my-twilio";
    app.admin().get(path).await.expect(200).json()["syncs"][0].clone()
}

/// Returns the seconds until the next run.
async fn wait(app: &TestApp) -> u64 {
    let state = twilio(app).await;
    let next = state["nextScheduledSyncAt"].as_str().unwrap();
    let next: domain::Timestamp = next.parse().unwrap();
    next.since(app.clock().now()).as_secs()
}

#[on_both_databases]
async fn the_next_run_moves_with_the_frequency(app: TestApp) {
    app.connect_twilio().await;
    app.run_due().await;

    for (frequency, answered, least, most) in [
        ("every 5 minutes", "5 minutes", 0, 330),
        ("every hour", "1h", 0, 3_660),
        ("2h", "2h", 3_600, 7_260),
        ("every half day", "12h", 40_000, 43_260),
        ("every quarter hour", "15m", 0, 960),
        ("every month", "30d", 86_400, 2_592_060),
        ("every 30 seconds", "30 seconds", 0, 33),
    ] {
        let response = set(&app, json!(frequency)).await.expect(200).json();
        assert_eq!(response, json!({ "frequency": answered }));
        assert_eq!(twilio(&app).await["frequency"], frequency);
        let wait = wait(&app).await;
        assert!((least..=most).contains(&wait), "{frequency}: {wait}");
    }
    set(&app, json!("every week")).await.expect(200);
    app.advance(Duration::from_hours(24));
    let before = twilio(&app).await;
    app.run_due().await;
    assert_eq!(twilio(&app).await, before, "nothing is due for a week");
    let back = set(&app, Json::Null).await.expect(200).json();
    assert_eq!(back, json!({ "frequency": "every 5 minutes" }));
    assert!(wait(&app).await <= 330);

    let select = crate::syncs::select();
    app.admin().post("/sync/pause", &select).await.expect(200);
    set(&app, json!("every minute")).await.expect(200);
    assert_eq!(
        twilio(&app).await["nextScheduledSyncAt"],
        Json::Null,
        "it stays paused"
    );
}

#[on_both_databases]
async fn an_invalid_frequency_is_refused(app: TestApp) {
    app.connect_twilio().await;
    for frequency in [json!("every 29 seconds"), json!("often"), json!(""), json!(5)] {
        let reply = set(&app, frequency.clone()).await.expect(400);
        assert_eq!(
            (reply.code().as_str(), reply.fields()),
            ("invalid_body", vec!["frequency".to_owned()]),
            "{frequency}"
        );
    }
    for (field, value, code) in [
        ("sync_name", "none", "unknown_sync"),
        ("sync_variant", "none", "unknown_sync"),
        ("connection_id", "none", "unknown_connection"),
        ("provider_config_key", "none", "unknown_provider_config"),
    ] {
        let mut body = json!({
            "sync_name": "twilio-messages", "provider_config_key": "twilio", "connection_id": "my-twilio", "frequency": null
        });
        body[field] = json!(value);
        let reply = send(
            app.admin(),
            Method::PUT,
            "/sync/update-connection-frequency",
            body,
        )
        .await;
        assert_eq!(reply.expect(400).code(), code, "{field}");
    }
}
