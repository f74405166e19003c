//! Subscriptions: what is asked of a provider, what is kept, and what becomes of one that fails half way.

use std::time::Duration;

use domain::{ConnectionId, SubscriptionId};
use reqwest::Method;
use serde_json::{Value as Json, json};
use store::subscriptions::{self, FoundOrInserted, NewSubscription};
use testkit::{AppBuilder, Dialect, TestApp, on_both_databases};
use wiremock::matchers::{body_partial_json, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const FILE: &str = r#"
display_name: Acme
auth_mode: API_KEY
proxy:
  base_url: https://api.acme.example
  headers: { authorization: "Bearer ${apiKey}" }
  verification: { endpoints: [/me] }
syncs:
  acme-things:
    description: Every thing
    model: Thing
    table: acme_things
    runs: every hour
    request: { path: /things }
    records: things
    paginate: { type: cursor, cursor_name_in_request: after, cursor_path_in_response: next }
    key: id
    columns: { id: text, name: text }
webhooks:
  setup: Under Settings, Webhooks.
  signature: { header: X-Signature, algorithm: hmac-sha256, secret: "${subscription.secret}" }
  type: "${body.type}"
  challenges: { secret: "${body.verification_token}" }
  events:
    "*": { sync: acme-things, run: true }
  subscriptions:
    hook:
      description: Makes a hook, and starts it
      input: { topic: { type: text, required: true, description: The topic } }
      create:
        - request: { method: POST, path: /hooks, json: { url: "${webhook.url}", topic: "${input.topic}" } }
          keep: { id: hook.id, secret: hook.secret }
        - request: { method: POST, path: "/hooks/${subscription.id}/start" }
      show:
        request: { method: GET, path: "/hooks/${subscription.id}" }
        expect: { hook.url: "${webhook.url}" }
      renew: { every: 5 days, request: { method: PUT, path: "/hooks/${subscription.id}/renew" } }
      end:
        request: { method: DELETE, path: "/hooks/${subscription.id}" }
"#;

const WEBHOOKS: &str = "/acme/webhooks?connectionId=my-acme";
const SECRET: &str = "hook-secret-5f1c9a77";

/// An app that is connected to a provider whose responses the test sets.
struct Acme {
    app: TestApp,
    server: MockServer,
}

impl store::testing::TestContext for Acme {
    async fn on(dialect: Dialect) -> Option<Self> {
        let server = MockServer::start().await;
        let builder = AppBuilder::default()
            .with_public_url()
            .provider_file("acme.yaml", FILE)
            .provider_url("acme", &server.uri())
            .upstream(|options| options.max_attempts = 2);
        let app = builder.start(dialect).await?;
        let acme = Self { app, server };
        acme.respond("GET", "/me", ResponseTemplate::new(200).set_body_json(json!({})))
            .await;
        acme.respond(
            "GET",
            "/things",
            ResponseTemplate::new(200).set_body_json(json!({ "things": [] })),
        )
        .await;
        let body = json!({ "connectionId": "my-acme", "apiKey": "key-of-acme-0123456789" });
        acme.app.admin().post("/acme/connect", &body).await.expect(201);
        Some(acme)
    }
}

impl Acme {
    async fn respond(&self, verb: &str, at: &str, response: ResponseTemplate) {
        Mock::given(method(verb))
            .and(path(at))
            .respond_with(response)
            .mount(&self.server)
            .await;
    }

    /// Responds once, before what else is set.
    async fn respond_once(&self, verb: &str, at: &str, status: u16) {
        Mock::given(method(verb))
            .and(path(at))
            .respond_with(ResponseTemplate::new(status).set_body_json(json!({ "message": "no" })))
            .up_to_n_times(1)
            .with_priority(1)
            .mount(&self.server)
            .await;
    }

    /// Has the provider do all that is asked of it.
    async fn works(&self) {
        let made = json!({ "hook": { "id": 7, "secret": SECRET } });
        Mock::given(method("POST"))
            .and(path("/hooks"))
            .and(body_partial_json(json!({ "topic": "orders" })))
            .respond_with(ResponseTemplate::new(201).set_body_json(made))
            .mount(&self.server)
            .await;
        for (verb, at) in [
            ("POST", "/hooks/7/start"),
            ("PUT", "/hooks/7/renew"),
            ("DELETE", "/hooks/7"),
        ] {
            self.respond(verb, at, ResponseTemplate::new(204)).await;
        }
    }

    async fn connection(&self) -> ConnectionId {
        let environment = self.app.caller().await.environment;
        let names = ("acme".parse().unwrap(), "my-acme".parse().unwrap());
        let read = self
            .app
            .store()
            .read(move |c| store::connections::find(c, environment, &names.0, &names.1));
        read.await.unwrap().id
    }

    async fn count(&self, verb: &str, at: &str) -> usize {
        let requests = self.server.received_requests().await.unwrap();
        let same = |request: &&wiremock::Request| request.method.as_str() == verb && request.url.path() == at;
        requests.iter().filter(same).count()
    }

    async fn subscribe(&self) -> testkit::Reply {
        let body = json!({ "input": { "topic": "orders" } });
        self.app.admin().post(WEBHOOKS, &body).await
    }

    async fn listed(&self) -> Json {
        let shown = self.app.admin().get(WEBHOOKS).await.expect(200).json();
        shown["data"]["subscriptions"].clone()
    }

    /// Sends a request to the connection's own address.
    async fn receive(&self, body: &str, signature: &str) -> testkit::Reply {
        let address = self
            .app
            .admin()
            .get("/acme/webhooks/address?connectionId=my-acme")
            .await;
        let url = address.expect(200).json()["data"]["url"]
            .as_str()
            .unwrap()
            .to_owned();
        let url = url::Url::parse(&url).unwrap();
        let request = self.app.anonymous().request(Method::POST, url.path());
        let request = request.header("X-Signature", signature).body(body.to_owned());
        self.app.anonymous().send(request).await
    }
}

fn sign(secret: &str, body: &str) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    hex::encode(ring::hmac::sign(&key, body.as_bytes()).as_ref())
}

#[on_both_databases]
async fn the_secret_of_a_subscription_verifies_and_is_never_shown(acme: Acme) {
    acme.works().await;
    let made = acme.subscribe().await.expect(201);
    assert_eq!(made.json()["data"]["kept"], json!({ "id": 7 }));
    acme.subscribe().await.expect(200);
    assert_eq!(acme.count("POST", "/hooks").await, 1);

    let body = r#"{"type":"thing.changed"}"#;
    acme.receive(body, &sign(SECRET, body)).await.expect(200);
    acme.receive(body, &sign("another", body)).await.expect(401);
    let hook = json!({ "hook": { "url": "https://elsewhere.example", "secret": SECRET } });
    acme.respond("GET", "/hooks/7", ResponseTemplate::new(200).set_body_json(hook))
        .await;
    assert_eq!(acme.listed().await[0]["provider_state"]["state"], "changed");

    acme.app.admin().delete(WEBHOOKS).await.expect(200);
    assert_eq!(acme.count("DELETE", "/hooks/7").await, 1);
    acme.receive(body, &sign(SECRET, body)).await.expect(401);
    assert!(!acme.app.responses().contains(SECRET));
    assert!(!acme.app.logs().contains(SECRET));
}

#[on_both_databases]
async fn a_refused_request_undoes_what_the_earlier_ones_made(acme: Acme) {
    acme.respond_once("POST", "/hooks/7/start", 422).await;
    acme.works().await;
    let refused = acme.subscribe().await.expect(424);
    assert_eq!(refused.code(), "script_http_error");
    assert_eq!(acme.count("DELETE", "/hooks/7").await, 1);
    assert_eq!(acme.listed().await, json!([]));
    acme.subscribe().await.expect(201);
}

#[on_both_databases]
async fn an_unknown_outcome_is_shown_and_the_next_call_goes_on_from_there(acme: Acme) {
    acme.respond_once("POST", "/hooks/7/start", 500).await;
    acme.works().await;
    let unknown = acme.subscribe().await.expect(424);
    assert!(unknown.message().contains("may or may not"), "{}", unknown.text);
    let listed = acme.listed().await;
    assert_eq!(listed[0]["status"], "failed");
    assert!(listed[0]["error"].as_str().unwrap().contains("500"), "{listed}");
    // A refusal of the repeated request says nothing about the first one.
    acme.respond_once("POST", "/hooks/7/start", 422).await;
    acme.subscribe().await.expect(424);
    assert_eq!(acme.listed().await[0]["status"], "failed");
    assert_eq!(acme.count("DELETE", "/hooks/7").await, 0);

    acme.subscribe().await.expect(201);
    assert_eq!(acme.count("POST", "/hooks").await, 1);
    assert_eq!(acme.count("POST", "/hooks/7/start").await, 3);
}

#[on_both_databases]
async fn what_a_killed_process_began_is_not_repeated_by_itself(acme: Acme) {
    acme.works().await;
    let (now, connection) = (acme.app.clock().now(), acme.connection().await);
    let new = NewSubscription {
        id: SubscriptionId::new(now),
        connection,
        name: "hook".to_owned(),
        input: json!({ "topic": "orders" }).as_object().unwrap().clone(),
        input_hash: "of the killed process".to_owned(),
    };
    let until = now.plus(Duration::from_mins(1));
    let asked = acme
        .app
        .store()
        .write(move |c| subscriptions::find_or_insert(c, &new, "killed", until, now));
    assert!(matches!(asked.await.unwrap(), FoundOrInserted::Leased(..)));
    acme.app.admin().delete(WEBHOOKS).await.expect(409);
    acme.app.advance(Duration::from_mins(2));
    acme.app.run_due().await;
    let listed = acme.listed().await;
    assert_eq!(listed[0]["status"], "failed");
    assert!(listed[0]["error"].as_str().unwrap().contains("the process ended"));
    // Nothing is known of what it has done.
    let refused = acme.app.admin().delete(WEBHOOKS).await.expect(424);
    assert!(refused.message().contains("forget=true"), "{}", refused.text);
    acme.app
        .admin()
        .delete(&format!("{WEBHOOKS}&forget=true"))
        .await
        .expect(200);
    assert_eq!(acme.listed().await, json!([]));
    assert_eq!(acme.count("POST", "/hooks").await, 0);
}

#[on_both_databases]
async fn a_subscription_that_the_provider_has_ended_is_made_anew(acme: Acme) {
    acme.respond_once("PUT", "/hooks/7/renew", 404).await;
    acme.works().await;
    acme.subscribe().await.expect(201);
    acme.app.advance(Duration::from_hours(5 * 24));
    acme.app.run_due().await;
    let listed = acme.listed().await;
    assert_eq!(
        (&listed[0]["status"], &listed[0]["kept"]),
        (&json!("failed"), &json!({}))
    );
    acme.subscribe().await.expect(201);
    assert_eq!(acme.count("POST", "/hooks").await, 2);
}

#[on_both_databases]
async fn a_subscription_that_cannot_be_ended_is_ended_later(acme: Acme) {
    acme.respond_once("DELETE", "/hooks/7", 403).await;
    acme.works().await;
    acme.subscribe().await.expect(201);
    acme.app.admin().delete(WEBHOOKS).await.expect(424);
    assert_eq!(acme.listed().await[0]["status"], "ending");
    acme.app.advance(Duration::from_mins(2));
    acme.app.run_due().await;
    assert_eq!(acme.listed().await, json!([]));
    assert_eq!(acme.count("DELETE", "/hooks/7").await, 2);
}

#[on_both_databases]
async fn a_subscription_is_renewed_before_it_expires(acme: Acme) {
    acme.respond_once("PUT", "/hooks/7/renew", 403).await;
    acme.works().await;
    acme.subscribe().await.expect(201);
    acme.app.run_due().await;
    assert_eq!(acme.count("PUT", "/hooks/7/renew").await, 0);
    acme.app.advance(Duration::from_hours(5 * 24));
    acme.app.run_due().await;
    assert_eq!(acme.count("PUT", "/hooks/7/renew").await, 1);
    assert!(acme.listed().await[0]["error"].is_string());
    acme.app.advance(Duration::from_mins(2));
    acme.app.run_due().await;
    assert_eq!(acme.count("PUT", "/hooks/7/renew").await, 2);
    let listed = acme.listed().await;
    assert_eq!(
        (&listed[0]["status"], &listed[0]["error"]),
        (&json!("active"), &Json::Null)
    );
}

#[on_both_databases]
async fn a_secret_that_the_provider_brings_is_kept_once(acme: Acme) {
    let (first, second) = ("token-of-acme-1", "token-of-acme-2");
    acme.receive(&json!({ "verification_token": first }).to_string(), "")
        .await
        .expect(200);
    acme.receive(&json!({ "verification_token": second }).to_string(), "")
        .await
        .expect(200);
    let address = acme
        .app
        .admin()
        .get("/acme/webhooks/address?connectionId=my-acme")
        .await;
    assert_eq!(address.expect(200).json()["data"]["challenge_secret"], first);
    let body = r#"{"type":"thing.changed"}"#;
    acme.receive(body, &sign(first, body)).await.expect(200);
    acme.receive(body, &sign(second, body)).await.expect(401);

    acme.app.admin().delete(WEBHOOKS).await.expect(200);
    acme.receive(body, &sign(first, body)).await.expect(401);
}

#[on_both_databases]
async fn wrong_requests_name_the_field(acme: Acme) {
    let post = async |body: Json| acme.app.admin().post(WEBHOOKS, &body).await.expect(400);
    assert_eq!(post(json!({})).await.fields(), ["input.topic"]);
    assert_eq!(
        post(json!({ "subscription": "hok" })).await.fields(),
        ["subscription"]
    );
    let unknown = post(json!({ "input": { "topic": "orders", "colour": "red" } })).await;
    assert_eq!(unknown.fields(), ["input.colour"]);
    let admin = acme.app.admin();
    let unknown = "/acme/webhooks?connectionId=my-acme&id=whs_0198f0c8a2b37d5ea6a2d4c1b0f3e921";
    admin.delete(unknown).await.expect(404);
    admin.delete(WEBHOOKS).await.expect(200);
    assert_eq!(acme.count("POST", "/hooks").await, 0);
    let shown = admin.get(WEBHOOKS).await.expect(200).json();
    assert_eq!(shown["data"]["available"][0]["name"], "hook");
    assert_eq!(shown["data"]["available"][0]["input"][0]["required"], true);
}

#[on_both_databases]
async fn without_a_public_url_the_error_says_what_to_set(app: TestApp) {
    app.connect_twilio().await;
    let refused = app
        .admin()
        .post("/twilio/webhooks?connectionId=my-twilio", &json!({}))
        .await
        .expect(400);
    assert!(refused.message().contains("TRUNKLINE_PUBLIC_URL"));
}
