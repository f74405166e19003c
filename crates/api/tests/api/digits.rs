//! Numbers keep their digits in metadata, in the request of an action, in its response, and in a table.

use std::sync::{Arc, Mutex};

use reqwest::Method;
use testkit::{AppBuilder, Dialect, Reply, TestApp, on_both_databases};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

const FILE: &str = r#"
display_name: Bank
auth_mode: API_KEY
credentials: { apiKey: { title: Key, secret: true } }
proxy:
  base_url: https://bank.example.com
  headers: { authorization: "Bearer ${apiKey}" }
  verification: { method: GET, endpoints: [/me] }
  paginate: { type: cursor, cursor_name_in_request: after, cursor_path_in_response: next }
syncs:
  bank-payments:
    description: Payments
    model: Payment
    table: bank_payments
    runs: every hour
    request: { path: /payments }
    key: id
    columns:
      id: { type: text, description: Key }
      amount: { type: decimal, description: Amount }
actions:
  pay:
    description: Pays
    input:
      payment: { type: json, description: Anything, required: true }
    request:
      method: POST
      path: /payments
      json: { payment: "${input.payment}" }
    writes: { sync: bank-payments, record: payment }
"#;

/// Numbers that a double would round, write differently, or could not hold.
const NUMBERS: &str =
    "[12345678901234567890123,1.10,0.00001,-0,100000000000000000000000000000000000000000000,1e+400,1.0]";

/// Responds with the body of the request, and keeps it.
#[derive(Clone, Default)]
struct Echo(Arc<Mutex<Vec<String>>>);

impl Respond for Echo {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let body = String::from_utf8(request.body.clone()).unwrap();
        if request.method != wiremock::http::Method::POST {
            return ResponseTemplate::new(200).set_body_raw("[]", "application/json");
        }
        let refused = body.contains("refused");
        self.0.lock().unwrap().push(body.clone());
        ResponseTemplate::new(if refused { 422 } else { 200 }).set_body_raw(body, "application/json")
    }
}

async fn on(dialect: Dialect, test: impl AsyncFnOnce(TestApp, Echo)) {
    let (server, echo) = (MockServer::start().await, Echo::default());
    Mock::given(any()).respond_with(echo.clone()).mount(&server).await;
    let builder = AppBuilder::default()
        .provider_file("bank.yaml", FILE)
        .provider_url("bank", &server.uri());
    let Some(app) = builder.start(dialect).await else {
        return;
    };
    let body = format!(r#"{{"connectionId": "mine", "apiKey": "k", "metadata": {{"numbers": {NUMBERS}}}}}"#);
    send(&app, Method::POST, "/bank/connect", &body, &[])
        .await
        .expect(201);
    test(app, echo).await;
}

/// Sends a body unchanged.
async fn send(app: &TestApp, method: Method, path: &str, body: &str, headers: &[(&str, &str)]) -> Reply {
    let request = app
        .admin()
        .request(method, path)
        .header("Content-Type", "application/json")
        .header("Provider-Config-Key", "bank")
        .header("Connection-Id", "mine")
        .body(body.to_owned());
    let request = headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value));
    app.admin().send(request).await
}

async fn pay(app: &TestApp, payment: &str, headers: &[(&str, &str)]) -> Reply {
    let body = format!(r#"{{"action_name": "pay", "input": {{"payment": {payment}}}}}"#);
    send(app, Method::POST, "/action/trigger", &body, headers).await
}

#[on_both_databases]
async fn metadata_keeps_every_digit(dialect: Dialect) {
    on(dialect, async |app, _| {
        let path = "/connections/mine?provider_config_key=bank";
        let shown = app.admin().get(path).await.expect(200);
        assert!(
            shown
                .text
                .contains(&format!(r#""metadata":{{"numbers":{NUMBERS}}}"#)),
            "{}",
            shown.text
        );

        let more = r#"{"connection_id": "mine", "provider_config_key": "bank", "metadata": {"more": 1.500}}"#;
        send(&app, Method::PATCH, "/connections/metadata", more, &[])
            .await
            .expect(200);
        let shown = app.admin().get(path).await.expect(200);
        assert!(
            shown
                .text
                .contains(&format!(r#"{{"numbers":{NUMBERS},"more":1.500}}"#)),
            "{}",
            shown.text
        );
    })
    .await;
}

#[on_both_databases]
async fn actions_keep_every_digit(dialect: Dialect) {
    on(dialect, async |app, echo| {
        let payment = format!(r#"{{"id":12345678901234567890123,"amount":1234567890123456.780,"numbers":{NUMBERS}}}"#);
        let sent = format!(r#"{{"payment":{payment}}}"#);

        let done = pay(&app, &payment, &[]).await.expect(200);
        assert_eq!(done.text, sent);

        let key = [("Idempotency-Key", "k1")];
        for _ in 0..2 {
            assert_eq!(pay(&app, &payment, &key).await.expect(200).text, sent);
        }
        let other = payment.replace("456.780", "456.78");
        assert_eq!(pay(&app, &other, &key).await.expect(422).code(), "idempotency_key_reused");

        let later = pay(&app, &payment, &[("X-Async", "true")]).await.expect(202).json();
        app.run_due().await;
        let result = app.admin().get(later["statusUrl"].as_str().unwrap()).await.expect(200);
        assert_eq!(result.text, sent);
        assert_eq!(*echo.0.lock().unwrap(), vec![sent; 3]);

        let refused = payment.replace("\"id\"", "\"refused\"");
        for _ in 0..2 {
            let reported = pay(&app, &refused, &[("Idempotency-Key", "k2")]).await.expect(424);
            assert!(reported.text.contains(NUMBERS), "{}", reported.text);
        }

        let rows = app.admin().get("/bank/payments?connectionId=mine").await.expect(200);
        let row = format!(
            r#"{{"id":"12345678901234567890123","amount":"1234567890123456.780","_extra":{{"numbers":{NUMBERS}}}}}"#
        );
        assert!(rows.text.contains(&row), "{}", rows.text);
        let feed = send(&app, Method::GET, "/records?model=Payment", "", &[]).await.expect(200);
        assert!(feed.text.contains(&format!(r#""numbers":{NUMBERS}"#)), "{}", feed.text);
    })
    .await;
}
