//! A field of a connection's configuration that the provider file declares secret is treated like credentials.

use gateway::{Scope, integrations};
use reqwest::Method;
use serde_json::{Value as Json, json};
use store::connections;
use testkit::{AppBuilder, TestApp, on_both_databases, registry_with};
use wiremock::matchers::{header, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::connect_sessions::session_token;

pub(crate) const TOKEN: &str = "tok-0123456789-secret";
const PATH: &str = "/connections/mine?provider_config_key=acme";

const FILE: &str = r"
display_name: Acme
auth_mode: API_KEY
connection_config:
  tok: { title: Token, secret: true }
  region: { title: Region, optional: true }
integration_config:
  app: { title: App secret, secret: true, optional: true }
  team: { title: Team, optional: true }
  keyLabel: { title: Label, secret: true, optional: true }
proxy:
  base_url: https://api.acme.example
  headers:
    authorization: Bearer ${apiKey}
    x-token: ${connectionConfig.tok}
    x-app: ${integrationConfig.app}
    x-team: ${integrationConfig.team}
  verification: { endpoints: [/me] }
";

pub(crate) fn registry() -> registry::Registry {
    registry_with("acme.yaml", FILE)
}

pub(crate) async fn with_acme(app: &TestApp) -> (TestApp, MockServer) {
    let provider = MockServer::start().await;
    Mock::given(header("x-token", TOKEN))
        .and(path("/me"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "ok": true })))
        .mount(&provider)
        .await;
    Mock::given(path("/me"))
        .respond_with(ResponseTemplate::new(401).set_body_json(json!({ "message": "not this" })))
        .mount(&provider)
        .await;
    let app = AppBuilder::default()
        .registry(registry())
        .provider_url("acme", &provider.uri())
        .start(app.store().dialect())
        .await
        .unwrap();
    (app, provider)
}

pub(crate) async fn connect(app: &TestApp) {
    let body = json!({ "connection_id": "mine", "provider_config_key": "acme",
        "credentials": { "type": "API_KEY", "apiKey": "good" }, "connection_config": { "tok": TOKEN, "region": "eu" } });
    app.admin().post("/connections", &body).await.expect(201);
}

/// Returns the configuration as stored in the database.
async fn stored(app: &TestApp) -> domain::Connection {
    let all = domain::ConnectionFilter::default();
    let rows = app.store().read(move |c| {
        let dev = store::environments::list(c)?.remove(0);
        connections::list(c, dev.id, &all)
    });
    rows.await.unwrap().remove(0)
}

pub(crate) async fn proxied(app: &TestApp, base: Option<&str>) -> testkit::Reply {
    let mut request = app
        .admin()
        .request(Method::GET, "/proxy/me")
        .header("Connection-Id", "mine")
        .header("Provider-Config-Key", "acme");
    if let Some(base) = base {
        request = request.header("Base-Url-Override", base);
    }
    app.admin().send(request).await
}

#[on_both_databases]
async fn a_secret_field_is_used_and_never_shown(app: TestApp) {
    let (app, _provider) = with_acme(&app).await;
    connect(&app).await;
    assert_eq!(
        Json::Object(stored(&app).await.connection_config),
        json!({ "region": "eu" })
    );
    proxied(&app, None).await.expect(200);

    for client in [
        app.admin().clone(),
        app.client_with(&[Scope::ConnectionsRead]).await,
    ] {
        let shown = client.get(PATH).await.expect(200).json();
        assert_eq!(shown["connection_config"], json!({ "region": "eu" }));
    }
    for base in [
        "https://${connectionConfig.tok}.x.invalid",
        "${connectionConfig.tok}",
    ] {
        assert_eq!(proxied(&app, Some(base)).await.status, 400, "{base}");
    }
    // Fields that are left out stay, the secret too. Another token is another credential, not another account.
    let patch = json!({ "connection_config": { "region": "eu" } });
    app.admin().patch(PATH, &patch).await.expect(200);
    proxied(&app, None).await.expect(200);
    let wrong = json!({ "connection_config": { "tok": "other" } });
    let refused = app.admin().patch(PATH, &wrong).await.expect(400);
    assert_eq!(refused.code(), "connection_test_failed");
    proxied(&app, None).await.expect(200);
    // The front end of a session must not see it.
    let defaults = json!({ "end_user": { "id": "u" },
        "integrations_config_defaults": { "acme": { "connection_config": { "tok": TOKEN } } } });
    let refused = app.admin().post("/connect/sessions", &defaults).await.expect(400);
    assert_eq!(
        refused.fields(),
        ["integrations_config_defaults.acme.connection_config.tok"]
    );
    let token = session_token(&app).await;
    let query = format!("connect_session_token={token}&params[tok]={TOKEN}");
    let path = format!("/api-auth/api-key/acme?{query}");
    let reply = app.anonymous().post(&path, &json!({ "apiKey": "good" })).await;
    reply.expect(200);

    assert!(!app.responses().contains(TOKEN), "a response holds it");
    assert!(!app.logs().contains(TOKEN), "the log holds it");
}

#[on_both_databases]
async fn a_secret_field_stored_in_plain_text_is_sealed_at_start(app: TestApp) {
    let (app, _provider) = with_acme(&app).await;
    connect(&app).await;
    let row = stored(&app).await;
    // The form in which an older version stored it: the token in plain text, outside the credentials.
    let (id, old) = (row.id, json!({ "tok": TOKEN, "region": "eu" }));
    let clear = old.as_object().unwrap().clone();
    app.store()
        .write(move |c| connections::set_config(c, id, &clear))
        .await
        .unwrap();
    let shown = app.admin().get(PATH).await.expect(200).json();
    assert_eq!(shown["connection_config"], json!({ "region": "eu" }));

    for _ in 0..2 {
        app.another_gateway(registry()).await;

        assert_eq!(
            Json::Object(stored(&app).await.connection_config),
            json!({ "region": "eu" })
        );
        proxied(&app, None).await.expect(200);
    }
}

#[on_both_databases]
async fn a_secret_field_of_an_integration_is_used_kept_and_never_shown(app: TestApp) {
    const APP: &str = "app-0123456789-secret";
    const LABEL: &str = "label-0123456789-secret";
    let (app, provider) = with_acme(&app).await;
    let made = json!({ "provider": "acme", "unique_key": "acme", "integration_config":
        { "app": APP, "team": "red", "keyLabel": LABEL } });
    let made = app.admin().post("/integrations", &made).await.expect(200).json();
    assert_eq!(made["data"]["integration_config"], json!({ "team": "red" }));
    let path = "/integrations/acme";
    // Sending back what was shown changes nothing.
    let shown = app.admin().get(path).await.expect(200).json();
    let back = json!({ "integration_config": shown["data"]["integration_config"] });
    app.admin().patch(path, &back).await.expect(200);
    let other = json!({ "integration_config": { "team": "blue" } });
    let changed = app.admin().patch(path, &other).await.expect(200).json();
    assert_eq!(changed["data"]["integration_config"], json!({ "team": "blue" }));
    let listed = app.admin().get("/integrations").await.expect(200).json();
    assert_eq!(listed["data"][0]["integration_config"], json!({ "team": "blue" }));

    connect(&app).await;
    proxied(&app, None).await.expect(200);
    let sent = provider.received_requests().await.unwrap().pop().unwrap();
    assert_eq!(sent.headers["x-app"], APP);
    // An invalid value is not echoed either.
    let wrong = json!({ "integration_config": { "app": format!("{APP}\u{0}") } });
    app.admin().patch(path, &wrong).await.expect(400);
    // A process without the file does not know which fields are secret, so it shows none.
    let other = app.another_gateway(registry::Registry::load(None).unwrap()).await;
    let environment = app
        .store()
        .read(|c| Ok(store::environments::list(c)?.remove(0).id));
    let found = integrations::find(&other, environment.await.unwrap(), "acme").await;
    assert!(found.unwrap().shown_config().is_empty());
    for value in [APP, LABEL] {
        assert!(!app.responses().contains(value), "a response holds it");
        assert!(!app.logs().contains(value), "the log holds it");
    }
}
