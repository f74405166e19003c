//! A connection's credentials: shown to keys with the scope, verified on demand, and their state.

use domain::ConnectionId;
use gateway::{Scope, health};
use serde_json::{Value as Json, json};
use testkit::{AppBuilder, Client, Dialect, TestApp, on_both_databases};
use wiremock::matchers::{header, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const PATH: &str = "/connections/my-twilio?provider_config_key=twilio";

async fn shown(client: &Client, path: &str) -> Json {
    client.get(path).await.expect(200).json()
}

#[on_both_databases]
async fn a_key_with_the_scope_gets_credentials_and_the_access_is_logged(app: TestApp) {
    app.connect_twilio().await;
    let known = app.simulator().credentials();
    let unseen = app.client_with(&[Scope::ConnectionsRead]).await;
    assert_eq!(shown(&unseen, PATH).await["last_fetched_at"], json!(null));

    let reply = app
        .client_with(&[Scope::ConnectionsReadCredentials])
        .await
        .get(PATH)
        .await
        .expect(200);

    let basic = json!({ "type": "BASIC", "username": known.main_key_sid, "password": known.main_key_secret });
    assert_eq!(reply.json()["credentials"], basic);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let fetched = shown(&unseen, PATH).await["last_fetched_at"].clone();
    assert!(fetched.as_str().unwrap().ends_with("+00:00"), "{fetched}");
    assert_eq!(fetched, reply.json()["last_fetched_at"]);
}

#[on_both_databases]
async fn a_key_without_the_scope_is_refused_credentials(app: TestApp) {
    app.connect_twilio().await;
    let reader = app.client_with(&[Scope::ConnectionsRead]).await;

    for parameter in ["force_refresh=true", "refresh_token=true"] {
        let reply = reader.get(&format!("{PATH}&{parameter}")).await.expect(403);
        assert_eq!(reply.code(), "forbidden");
        assert!(reply.message().contains("read_credentials"), "{}", reply.text);
    }
    let reply = reader
        .get(&format!("{PATH}&force_refresh=false&refresh_token=false"))
        .await
        .expect(200);
    assert_eq!(reply.json()["credentials"], json!({}));
    let reply = reader.get(&format!("{PATH}&force_refresh=yes")).await.expect(400);
    assert_eq!(reply.fields(), ["force_refresh"]);
}

#[on_both_databases]
async fn credentials_are_verified_on_demand_and_the_result_is_stored(app: TestApp) {
    app.connect_twilio().await;
    let key = app.simulator().credentials().main_key_sid.clone();
    let now = format!("{PATH}&force_refresh=true");
    app.admin().get(&now).await.expect(200);
    app.simulator().revoke(&key);
    assert_eq!(shown(app.admin(), PATH).await["errors"], json!([]));

    let reply = app.admin().get(&now).await.expect(400);

    assert_eq!(reply.code(), "invalid_credentials");
    let payload = &reply.json()["error"]["payload"];
    assert_eq!(payload["connection"], "my-twilio");
    assert_eq!(payload["provider_code"], "20003");
    assert_eq!(shown(app.admin(), PATH).await["errors"][0]["type"], "auth");
    app.simulator().restore(&key);
    assert_eq!(shown(app.admin(), &now).await["errors"], json!([]));
    assert_eq!(shown(app.admin(), PATH).await["errors"], json!([]));
}

#[on_both_databases]
async fn a_problem_shows_until_the_credentials_are_rotated(app: TestApp) {
    app.connect_twilio().await;
    let known = app.simulator().credentials();
    app.simulator().revoke(&known.main_key_sid);
    let id = ConnectionId::from_raw(shown(app.admin(), PATH).await["id"].as_i64().unwrap());
    let row = app
        .store()
        .read(move |c| store::connections::get_any_environment(c, id))
        .await
        .unwrap()
        .unwrap();
    let target = app.gateway().target(&row).await.unwrap();
    health::check_credentials(app.gateway(), &row, &target)
        .await
        .unwrap()
        .unwrap_err();
    let reported = shown(app.admin(), PATH).await;
    assert_eq!(
        (&reported["errors"][0]["type"], &reported["errors"][0]["code"]),
        (&json!("auth"), &json!("20003"))
    );

    let token = json!({ "type": "BASIC", "username": known.account_sid, "password": known.auth_token });
    let patched = app
        .admin()
        .patch(PATH, &json!({ "credentials": token }))
        .await
        .expect(200);

    assert_eq!(patched.json(), json!({ "success": true }));
    let reported = shown(app.admin(), PATH).await;
    assert_eq!(
        (&reported["errors"], &reported["credentials"]),
        (&json!([]), &token)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_of_one_key_shows_that_key() {
    const KEY: &str = "SG.abcdefghijklmnopqrstuv.wxyz";
    let provider = MockServer::start().await;
    Mock::given(path("/v3/scopes"))
        .and(header("authorization", format!("Bearer {KEY}").as_str()))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "scopes": [] })))
        .mount(&provider)
        .await;
    let builder = AppBuilder::default().provider_url("sendgrid", &provider.uri());
    let app = builder.start(Dialect::Sqlite).await.unwrap();
    let body = json!({
        "provider_config_key": "sendgrid", "connection_id": "mail", "credentials": { "type": "API_KEY", "apiKey": KEY },
    });

    let made = app.admin().post("/connections", &body).await.expect(201).json();

    let wanted = json!({ "type": "API_KEY", "apiKey": KEY });
    assert_eq!(made["credentials"], wanted);
    assert_eq!(
        made["connection_config"],
        json!({ "hostname": "api.sendgrid.com" })
    );
    let path = "/connections/mail?provider_config_key=sendgrid";
    assert_eq!(shown(app.admin(), path).await["credentials"], wanted);
    // The allowed values of the file apply here, too.
    let mut elsewhere = body.clone();
    elsewhere["connection_config"] = json!({ "hostname": "evil.example.com" });
    let reply = app.admin().post("/connections", &elsewhere).await.expect(400);
    assert_eq!(reply.fields(), ["connection_config.hostname"]);
}
