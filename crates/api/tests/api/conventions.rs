//! Rules of every route: keys, types, sizes, shapes of errors, headers.

use reqwest::Method;
use serde_json::json;
use store::Dialect;
use testkit::{Reply, TestApp, on_both_databases};

async fn app() -> TestApp {
    TestApp::on(Dialect::Sqlite).await.unwrap()
}

/// Fails unless the response is an error in the usual shape.
fn assert_error(reply: &Reply, status: u16, code: &str) {
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (status, code),
        "{}",
        reply.text
    );
    assert!(!reply.message().is_empty(), "{}", reply.text);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(reply.header("x-request-id").is_some());
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
}

#[on_both_databases]
async fn the_service_is_ready_once_its_tables_are_there(app: TestApp) {
    assert_eq!(
        app.anonymous().get("/health").await.expect(200).json(),
        json!({ "result": "ok" })
    );
    assert_eq!(
        app.anonymous().get("/ready").await.expect(200).json(),
        json!({ "result": "ok" })
    );
}

#[on_both_databases]
async fn tables_that_are_not_up_to_date_are_a_503(app: TestApp) {
    app.store()
        .write(store::testing::revert_last_migration)
        .await
        .unwrap();

    let reply = app.anonymous().get("/ready").await;

    assert_error(&reply, 503, "migrations_pending");
    assert!(reply.header("retry-after").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_missing_malformed_or_unknown_is_a_401() {
    let app = app().await;
    let with = async |value: &str| {
        app.anonymous()
            .send(
                app.anonymous()
                    .request(Method::GET, "/connections")
                    .header("Authorization", value),
            )
            .await
    };

    assert_error(
        &app.anonymous().get("/connections").await,
        401,
        "missing_auth_header",
    );
    for value in ["Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer two words"] {
        assert_error(&with(value).await, 401, "malformed_auth_header");
    }
    assert_error(&with("Bearer not-a-key-of-ours").await, 401, "unknown_account");
    let key = app.admin().key().unwrap();
    for value in [format!("bearer {key}"), key.to_owned(), format!("Bearer   {key}")] {
        assert_eq!(with(&value).await.status, 200, "{value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_no_route_takes_is_an_error_in_json() {
    let app = app().await;

    assert_error(
        &app.anonymous().get("/no/such/route/at/all").await,
        404,
        "not_found",
    );
    assert_error(&app.anonymous().get("/nothing").await, 404, "not_found");
    let body = |reply: Reply| reply.expect(404).text;
    let unknown = body(app.anonymous().get("/no/such/route/at/all").await);
    // The last ones differ from routes only in their encoding.
    for path in [
        "/no/such/route/at/all",
        "/nothing",
        "/%63onnections",
        "/p%72oviders",
    ] {
        assert_eq!(body(app.anonymous().get(path).await), unknown, "{path}");
        assert_eq!(body(app.admin().get(path).await), unknown, "{path} with a key");
    }
    assert_error(&app.admin().delete("/health").await, 405, "method_not_allowed");
    assert_error(
        &app.admin().delete("/connections").await,
        405,
        "method_not_allowed",
    );
    assert_error(&app.admin().get("/sync/trigger").await, 405, "method_not_allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_in_place_of_an_object_is_named_without_the_type_of_our_code() {
    let app = app().await;
    for path in ["/integrations", "/sync/trigger", "/connections", "/environments"] {
        let refused = app.admin().post(path, &json!("Peanuts")).await;
        assert_error(&refused, 400, "invalid_body");
        let message = refused.json()["error"]["errors"][0]["message"].clone();
        assert_eq!(
            message, "invalid type: string \"Peanuts\", expected an object",
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_must_be_json_of_a_bounded_size() {
    let app = app().await;
    let send = async |kind: &str, body: String| {
        let request = app
            .admin()
            .request(Method::POST, "/twilio/connect")
            .header("Content-Type", kind)
            .body(body);
        app.admin().send(request).await
    };

    assert_error(
        &send("text/plain", "{}".to_owned()).await,
        415,
        "invalid_content_type",
    );
    assert_error(
        &send("application/x-www-form-urlencoded", "a=b".to_owned()).await,
        415,
        "invalid_content_type",
    );
    let broken = send(
        "application/json; charset=utf-8",
        "{\"authToken\":\"hush".to_owned(),
    )
    .await;
    assert_error(&broken, 400, "invalid_json");
    assert!(!broken.text.contains("hush"));
    assert_error(
        &send("application/json", "[1]".to_owned()).await,
        400,
        "invalid_body",
    );
    assert_error(
        &send(
            "application/json",
            format!("{{\"x\":\"{}\"}}", "y".repeat(70_000)),
        )
        .await,
        413,
        "body_too_large",
    );
    assert_error(
        &app.admin().post("/twilio/connect?x=1", &json!({})).await,
        400,
        "invalid_query_params",
    );
    let without_type = app.admin().request(Method::POST, "/twilio/connect").body("{}");
    assert_error(&app.admin().send(without_type).await, 400, "invalid_body");
}

#[tokio::test(flavor = "multi_thread")]
async fn extra_fields_that_nangos_sdks_send_are_accepted() {
    let app = app().await;
    app.connect_twilio().await;
    let get = |path: &str| {
        app.admin()
            .request(Method::GET, path)
            .header("Content-Type", "application/json")
            .header("Nango-Is-Sync", "false")
    };

    assert_eq!(app.admin().send(get("/connections")).await.status, 200);
    assert_eq!(
        app.admin().send(get("/connections/")).await.status,
        200,
        "a slash at the end"
    );
    assert_eq!(app.admin().send(get("/connections/?limit=5")).await.status, 200);
    let delete = app
        .admin()
        .request(
            Method::DELETE,
            "/connections/my-twilio?provider_config_key=twilio",
        )
        .body("{}");
    assert_eq!(
        app.admin()
            .send(delete.header("Content-Type", "application/json"))
            .await
            .status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_may_send_requests() {
    let app = app().await;
    let preflight = app
        .anonymous()
        .request(Method::OPTIONS, "/connections")
        .header("Origin", "https://app.example.com")
        .header("Access-Control-Request-Method", "GET")
        .header(
            "Access-Control-Request-Headers",
            "authorization,provider-config-key",
        );

    let reply = app.anonymous().send(preflight).await.expect(200);

    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(reply.header("access-control-max-age"), Some("600"));
    let get = app
        .admin()
        .request(Method::GET, "/connections")
        .header("Origin", "https://app.example.com");
    assert_eq!(
        app.admin().send(get).await.header("access-control-allow-origin"),
        Some("*")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_internal_error_shows_its_id_and_the_log_has_its_cause() {
    let app = app().await;
    app.expect_error("a request failed");
    app.connect_twilio().await;
    let drop_table = |c: &mut store::DbConn| store::testing::run_sql(c, "DROP TABLE twilio_messages");
    app.store().write(drop_table).await.unwrap();

    let reply = app.admin().get("/twilio/messages?connectionId=my-twilio").await;

    assert_error(&reply, 500, "server_error");
    assert!(!reply.text.contains("twilio_messages"), "{}", reply.text);
    let id = reply.json()["error"]["payload"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(reply.header("x-request-id"), Some(id.as_str()));
    let logs = app.logs();
    let lines: Vec<&str> = logs
        .lines()
        .filter(|line| line.contains(&id) && line.contains("ERROR"))
        .collect();
    assert_eq!(lines.len(), 1, "the cause is logged once");
    assert!(lines[0].contains("twilio_messages"), "{}", lines[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_page_describes_the_service() {
    let page = app().await.anonymous().get("/").await.expect(200);

    assert!(
        page.text.contains("Trunkline") && page.text.contains("POST /twilio/connect"),
        "{}",
        page.text
    );
    assert!(!page.text.contains("src="), "nothing is fetched from elsewhere");
}
