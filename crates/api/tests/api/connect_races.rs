//! Connecting while the key, integration or session changes: everything is checked again when the credentials are stored.

use std::time::Duration;

use gateway::Scope;
use serde_json::{Value as Json, json};
use testkit::{AppBuilder, Client, Reply, TestApp, on_both_databases, wait_until};
use tokio::task::JoinHandle;
use wiremock::matchers::{header, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::connect_sessions::made;

const FILE: &str = r#"
display_name: Acme
auth_mode: API_KEY
connection_config:
  account: { title: Account }
integration_config:
  region: { title: Region, optional: true }
proxy:
  base_url: https://api.acme.example
  headers: { authorization: "Bearer ${apiKey}" }
  verification: { endpoints: ["/accounts/${connectionConfig.account}"] }
"#;

/// A provider that responds slowly for the account `slow`.
struct Slow {
    app: TestApp,
    provider: MockServer,
}

impl Slow {
    async fn beside(app: &TestApp) -> Self {
        let provider = MockServer::start().await;
        let good = ResponseTemplate::new(200);
        Mock::given(path("/accounts/slow"))
            .respond_with(good.clone().set_delay(Duration::from_secs(2)))
            .mount(&provider)
            .await;
        Mock::given(header("authorization", "Bearer good"))
            .respond_with(good)
            .mount(&provider)
            .await;
        let app = AppBuilder::default()
            .provider_file("acme.yaml", FILE)
            .provider_url("acme", &provider.uri())
            .start(app.store().dialect())
            .await
            .unwrap();
        Self { app, provider }
    }

    /// Begins to connect the account `slow`; returns once the provider got a request.
    async fn begin(&self, client: &Client, path: &str, body: Json) -> JoinHandle<Reply> {
        let before = self.requests().await;
        let (client, path) = (client.clone(), path.to_owned());
        let connecting = tokio::spawn(async move { client.post(&path, &body).await });
        wait_until("the provider gets a request", async || {
            self.requests().await > before || connecting.is_finished()
        })
        .await;
        assert!(!connecting.is_finished(), "{:?}", connecting.await.unwrap().text);
        connecting
    }

    async fn requests(&self) -> usize {
        self.provider.received_requests().await.unwrap().len()
    }

    async fn connections(&self) -> usize {
        let listed = self.app.admin().get("/connections").await.expect(200).json();
        listed["connections"].as_array().unwrap().len()
    }
}

fn body(account: &str) -> Json {
    json!({ "connection_id": "shared", "provider_config_key": "acme",
        "credentials": { "type": "API_KEY", "apiKey": "good" }, "connection_config": { "account": account } })
}

#[on_both_databases]
async fn another_account_is_refused_again_when_it_would_be_stored(app: TestApp) {
    let slow = Slow::beside(&app).await;
    let client = slow.app.admin();
    let connecting = slow.begin(client, "/connections", body("slow")).await;

    client.post("/connections", &body("fast")).await.expect(201);

    let refused = connecting.await.unwrap().expect(400);
    assert_eq!(refused.fields(), ["connection_config.account"]);
    let shown = client
        .get("/connections/shared?provider_config_key=acme")
        .await
        .expect(200);
    assert_eq!(shown.json()["connection_config"]["account"], "fast");
}

#[on_both_databases]
async fn one_of_two_concurrent_first_connects_with_different_accounts_wins(app: TestApp) {
    let slow = Slow::beside(&app).await;
    let client = slow.app.admin();
    let bodies: Vec<Json> = (0..6).map(|number| body(&format!("account-{number}"))).collect();

    let replies =
        futures::future::join_all(bodies.iter().map(|body| client.post("/connections", body))).await;

    let won: Vec<usize> = (0..6).filter(|&place| replies[place].status == 201).collect();
    assert_eq!(won.len(), 1, "{won:?}");
    for (place, reply) in replies
        .into_iter()
        .enumerate()
        .filter(|(place, _)| *place != won[0])
    {
        assert_eq!(
            reply.expect(400).fields(),
            ["connection_config.account"],
            "{place}"
        );
    }
    let shown = client
        .get("/connections/shared?provider_config_key=acme")
        .await
        .expect(200);
    assert_eq!(
        shown.json()["connection_config"]["account"],
        format!("account-{}", won[0])
    );
}

#[on_both_databases]
async fn what_permitted_a_connect_must_still_exist_when_it_is_stored(app: TestApp) {
    let slow = Slow::beside(&app).await;
    let admin = slow.app.admin();
    let own = |key: &str| {
        let mut body = body("slow");
        body["provider_config_key"] = key.into();
        body
    };
    let integration = |key: &str| json!({ "provider": "acme", "unique_key": key });

    // The API key is revoked.
    slow.app.advance(Duration::from_secs(1));
    let other = slow.app.client_with(Scope::ALL).await;
    let keys = admin.get("/environments/dev/api-keys").await.expect(200).json();
    let newest = keys["data"][0]["id"].as_str().unwrap().to_owned();
    let connecting = slow.begin(&other, "/connections", body("slow")).await;
    admin
        .delete(&format!("/environments/dev/api-keys/{newest}"))
        .await
        .expect(200);
    connecting.await.unwrap().expect(401);

    // The integration is deleted, or sends credentials elsewhere.
    admin
        .post("/integrations", &integration("gone"))
        .await
        .expect(200);
    let connecting = slow.begin(admin, "/connections", own("gone")).await;
    admin.delete("/integrations/gone").await.expect(200);
    connecting.await.unwrap().expect(404);
    admin.get("/integrations/gone").await.expect(404);
    admin
        .post("/integrations", &integration("moved"))
        .await
        .expect(200);
    let connecting = slow.begin(admin, "/connections", own("moved")).await;
    let moved = json!({ "integration_config": { "region": "eu" } });
    admin.patch("/integrations/moved", &moved).await.expect(200);
    connecting.await.unwrap().expect(409);

    // The session is ended.
    let session = made(&slow.app, "", &json!({ "end_user": { "id": "u1" } })).await;
    let token = session["token"].as_str().unwrap();
    let path = format!("/api-auth/api-key/acme?connect_session_token={token}&params[account]=slow");
    let connecting = slow
        .begin(slow.app.anonymous(), &path, json!({ "apiKey": "good" }))
        .await;
    let holder = slow.app.anonymous().with_key(Some(token.to_owned()));
    holder.delete("/connect/session").await.expect(204);
    connecting.await.unwrap().expect(401);

    // The environment is deleted.
    let doomed = slow.app.environment("doomed").await;
    let connecting = slow.begin(&doomed, "/connections", body("slow")).await;
    admin.delete("/environments/doomed").await.expect(200);
    connecting.await.unwrap().expect(401);

    assert_eq!(slow.connections().await, 0);
}
