//! Credentials that are replaced while another request about them is in progress.

use std::time::Duration;

use domain::{ConnectionId, Problem};
use gateway::health;
use serde_json::json;
use store::testing::waits_for_lock;
use store::{lease, syncs};
use testkit::{AppBuilder, Dialect, TestApp, on_both_databases, wait_until};
use wiremock::matchers::header;
use wiremock::{Mock, MockServer, ResponseTemplate};

const PATH: &str = "/connections/my-twilio?provider_config_key=twilio";

#[on_both_databases]
async fn a_refusal_of_old_credentials_does_not_mark_a_connection_that_has_new_ones(app: TestApp) {
    app.connect_twilio().await;
    let known = app.simulator().credentials();
    let shown = app.admin().get(PATH).await.expect(200).json();
    let id = ConnectionId::from_raw(shown["id"].as_i64().unwrap());
    let row = app
        .store()
        .read(move |c| store::connections::get_any_environment(c, id))
        .await
        .unwrap()
        .unwrap();
    let old = app.gateway().target(&row).await.unwrap();
    let token = json!({ "type": "BASIC", "username": known.account_sid, "password": known.auth_token });
    app.admin()
        .patch(PATH, &json!({ "credentials": token }))
        .await
        .expect(200);
    app.simulator().revoke(&known.main_key_sid);

    health::check_credentials(app.gateway(), &row, &old)
        .await
        .unwrap()
        .unwrap_err();

    let shown = app.admin().get(PATH).await.expect(200).json();
    assert_eq!(shown["errors"], json!([]));
}

#[on_both_databases]
async fn a_change_of_the_configuration_does_not_undo_a_rotation(app: TestApp) {
    let key = |letter: &str| format!("SG.{}.wxyz", letter.repeat(22));
    let (old, new) = (key("a"), key("b"));
    let provider = MockServer::start().await;
    let good = || ResponseTemplate::new(200).set_body_json(json!({ "scopes": [] }));
    let taken = |key: &str| Mock::given(header("authorization", format!("Bearer {key}").as_str()));
    // The first verification of the old key is quick, the second is slow.
    taken(&old)
        .respond_with(good())
        .up_to_n_times(1)
        .mount(&provider)
        .await;
    let slow = good().set_delay(Duration::from_secs(2));
    taken(&old).respond_with(slow).mount(&provider).await;
    taken(&new).respond_with(good()).mount(&provider).await;
    let builder = AppBuilder::default()
        .provider_url("sendgrid", &provider.uri())
        .upstream(|options| {
            // The provider gets only requests that verify credentials.
            options.list_check = Duration::ZERO;
        });
    let app = builder.start(app.store().dialect()).await.unwrap();
    let connect = json!({ "connectionId": "mail", "apiKey": old });
    app.admin().post("/sendgrid/connect", &connect).await.expect(201);
    let path = "/connections/mail?provider_config_key=sendgrid";

    let (client, config) = (
        app.admin().clone(),
        json!({ "connection_config": { "hostname": "api.sendgrid.com" } }),
    );
    let changing = tokio::spawn(async move { client.patch(path, &config).await });
    wait_until("the change verifies the old key", async || {
        provider.received_requests().await.unwrap().len() >= 2
    })
    .await;
    let rotation = json!({ "credentials": { "type": "API_KEY", "apiKey": new } });
    app.admin().patch(path, &rotation).await.expect(200);
    assert!(!changing.is_finished());

    changing.await.unwrap().expect(200);
    let shown = app.admin().get(path).await.expect(200).json();
    assert_eq!(shown["credentials"]["apiKey"], json!(new));
}

#[on_both_databases]
async fn a_connection_that_is_being_deleted_cannot_be_connected_again(app: TestApp) {
    let body = app.connect_body("my-twilio");
    app.admin().post("/twilio/connect", &body).await.expect(201);
    let all = domain::ConnectionFilter::default();
    app.store()
        .write(move |c| {
            let dev = store::environments::list(c)?.remove(0);
            let rows = store::connections::list(c, dev.id, &all)?;
            // This is how a deletion begins.
            store::credentials::delete(c, rows[0].id)
        })
        .await
        .unwrap();

    let refused = app.admin().post("/twilio/connect", &body).await.expect(400);
    assert_eq!(refused.fields(), ["connection_id"]);
    app.admin()
        .delete("/connections/my-twilio?provider_config_key=twilio")
        .await
        .expect(200);
    app.admin().post("/twilio/connect", &body).await.expect(201);
}

/// On SQLite one transaction waits for the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_refusal_stored_while_credentials_change_does_not_last() {
    let Some(app) = TestApp::on(Dialect::Postgres).await else {
        return;
    };
    app.connect_twilio().await;
    let status = "/sync/status?provider_config_key=twilio&connection_id=my-twilio&syncs=*";
    let sync = app.store().read(|c| {
        let dev = store::environments::list(c)?.remove(0);
        Ok(syncs::list(c, dev.id, &domain::SyncFilter::default())?.remove(0))
    });
    let (sync, now) = (sync.await.unwrap(), app.clock().now());
    let problem = Problem {
        kind: gateway::PERMISSION_PROBLEM.to_owned(),
        code: None,
        message: "the old key may not read it".to_owned(),
        at: now,
    };
    // This is how a worker ends a run.
    let (noted, is_noted) = tokio::sync::oneshot::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let store = app.store().clone();
    let ending = tokio::spawn(async move {
        let written = store.write(move |c| {
            lease::lock(c, sync.id)?;
            syncs::set_problem(c, sync.id, Some(&problem))?;
            noted.send(()).unwrap();
            let _: Result<(), _> = ended.recv();
            Ok(())
        });
        written.await.unwrap();
    });
    is_noted.await.unwrap();
    let (client, body) = (app.admin().clone(), app.connect_body("my-twilio"));
    let renewing = tokio::spawn(async move { client.post("/twilio/connect", &body).await });
    while !app.store().read(waits_for_lock).await.unwrap() {}

    drop(end);

    ending.await.unwrap();
    renewing.await.unwrap().expect(201);
    let shown = app.admin().get(status).await.expect(200).json();
    assert_eq!(shown["syncs"][0]["problem"], serde_json::Value::Null, "{shown:#}");
}
