//! Secret fields of an integration's configuration are sealed in the database, like credentials.

use std::sync::Arc;

use domain::{Connection, StoredIntegration};
use gateway::{
    Gateway, GatewayError, IntegrationChangeRequest, KeySource, LostKeys, Names, connections, encryption,
};
use secrecy::ExposeSecret;
use serde_json::{Value as Json, json};
use store::integrations::{self, IntegrationChange};
use testkit::{TestApp, on_both_databases};
use vault::{EncryptionKey, KeyRing};
use wiremock::MockServer;

use crate::secret_config::{TOKEN, connect, proxied, registry, with_acme};

const APP: &str = "app-0123456789-secret";
const NEXT: &str = "app-9876543210-secret";

async fn made(app: &TestApp, config: Json) {
    let body = json!({ "provider": "acme", "unique_key": "acme", "integration_config": config });
    app.admin().post("/integrations", &body).await.expect(200);
}

async fn patched(app: &TestApp, config: Json) -> testkit::Reply {
    let body = json!({ "integration_config": config });
    app.admin().patch("/integrations/acme", &body).await
}

/// Returns the secret in the last request that the provider got.
async fn last_app(provider: &MockServer) -> Option<String> {
    let request = provider.received_requests().await.unwrap().pop().unwrap();
    let value = request.headers.get("x-app")?;
    Some(value.to_str().unwrap().to_owned())
}

async fn row(app: &TestApp) -> StoredIntegration {
    let rows = app.store().read(|c| {
        let dev = store::environments::list(c)?.remove(0);
        integrations::list(c, dev.id)
    });
    rows.await.unwrap().remove(0)
}

async fn connection(app: &TestApp, gateway: &Gateway) -> Connection {
    let caller = app.caller().await;
    connections::find(gateway, Names::of(&caller, "acme", "mine"))
        .await
        .unwrap()
}

fn key(app: &TestApp) -> EncryptionKey {
    EncryptionKey::from_base64(app.encryption_key().expose_secret()).unwrap()
}

async fn start(app: &TestApp, keys: &[EncryptionKey]) -> Result<Arc<Gateway>, GatewayError> {
    app.try_another_gateway(registry(), given(keys)).await
}

fn given(keys: &[EncryptionKey]) -> KeySource {
    KeySource::Given(KeyRing::new(keys[0].clone(), keys[1..].to_vec()))
}

#[on_both_databases]
async fn a_secret_is_never_stored_in_plain_text_and_rotates_while_connections_exist(app: TestApp) {
    let (app, provider) = with_acme(&app).await;
    made(&app, json!({ "app": APP, "team": "red" })).await;
    connect(&app).await;
    proxied(&app, None).await.expect(200);
    assert_eq!(last_app(&provider).await.as_deref(), Some(APP));
    let before = row(&app).await;

    // An unchanged secret is not sealed again: a connect in progress would have to start over.
    patched(&app, json!({ "app": APP, "keyLabel": null }))
        .await
        .expect(200);
    assert_eq!(row(&app).await.sealed_config, before.sealed_config);
    patched(&app, json!({ "app": NEXT })).await.expect(200);

    proxied(&app, None).await.expect(200);
    assert_eq!(last_app(&provider).await.as_deref(), Some(NEXT));
    let again = app.another_gateway(registry()).await;
    let target = again.target(&connection(&app, &again).await).await.unwrap();
    assert_eq!(target.variables.integration_config["app"], NEXT);
    // A field that is not secret may name an account.
    let refused = patched(&app, json!({ "team": "blue" })).await.expect(400);
    assert_eq!(refused.fields(), ["integration_config.team"]);
    for secret in [APP, NEXT, TOKEN] {
        assert!(!app.database().holds(secret).await, "{secret}");
    }
    assert!(app.database().holds("acme").await);

    patched(&app, json!({ "app": null })).await.expect(200);
    proxied(&app, None).await.expect(200);
    assert_eq!(last_app(&provider).await, None);
    assert_eq!(row(&app).await.sealed_config, None);
}

#[on_both_databases]
async fn a_secret_stored_in_plain_text_is_sealed_at_start(app: TestApp) {
    let (app, provider) = with_acme(&app).await;
    made(&app, json!({ "team": "red" })).await;
    connect(&app).await;
    let old = row(&app).await;
    let mut config = old.config.clone();
    config.insert("app".to_owned(), APP.to_owned());
    let written = app.store().write(move |c| {
        let change = IntegrationChange {
            config: Some(config),
            ..IntegrationChange::default()
        };
        integrations::change(c, old.id, &change, old.updated_at)
    });
    written.await.unwrap();
    assert!(app.database().holds(APP).await);

    app.another_gateway(registry()).await;

    assert!(!app.database().holds(APP).await);
    let sealed = row(&app).await;
    assert_eq!(
        sealed.config.into_iter().collect::<Vec<_>>(),
        [("team".to_owned(), "red".to_owned())]
    );
    proxied(&app, None).await.expect(200);
    assert_eq!(last_app(&provider).await.as_deref(), Some(APP));
    app.another_gateway(registry()).await;
    assert_eq!(row(&app).await.sealed_config, sealed.sealed_config);
}

#[on_both_databases]
async fn a_rotation_of_the_key_reseals_secrets(app: TestApp) {
    let (app, _provider) = with_acme(&app).await;
    made(&app, json!({ "app": APP })).await;
    let (old, new) = (key(&app), EncryptionKey::generate());
    let refused = start(&app, std::slice::from_ref(&new))
        .await
        .err()
        .unwrap()
        .to_string();
    let reported = format!(
        "{} (needed for 0 stored credentials and the secret fields of 1 integrations)",
        old.id()
    );
    assert!(refused.contains(&reported), "{refused}");
    connect(&app).await;
    let rotating = start(&app, &[new.clone(), old.clone()]).await.unwrap();
    encryption::rotate(&rotating).await.unwrap();

    assert_eq!(encryption::reseal(&rotating, |_| ()).await.unwrap().sealed, 2);

    assert_eq!(encryption::reseal(&rotating, |_| ()).await.unwrap().sealed, 0);
    let fresh = start(&app, &[new]).await.unwrap();
    let target = fresh.target(&connection(&app, &fresh).await).await.unwrap();
    assert_eq!(target.variables.integration_config["app"], APP);
    assert!(start(&app, &[old]).await.is_err());
    assert!(!app.database().holds(APP).await);
}

#[on_both_databases]
async fn a_secret_that_was_lost_with_its_key_can_be_set_again(app: TestApp) {
    let (app, _provider) = with_acme(&app).await;
    made(&app, json!({ "app": APP, "team": "red" })).await;
    let (old, new) = (key(&app), EncryptionKey::generate());
    let both = start(&app, &[new.clone(), old]).await.unwrap();
    let body = json!({ "connectionId": "mine", "apiKey": "good", "tok": TOKEN });
    let request = serde_json::from_value(body).unwrap();
    let connected = connections::connect(&both, &app.caller().await, "acme", request).await;
    connected.unwrap();
    let left = given(std::slice::from_ref(&new));
    let lost = LostKeys::find(app.store(), &left).await.unwrap();
    let sealed = lost
        .sealed_by_key()
        .values()
        .map(|sealed| (sealed.connections, sealed.integrations));
    assert_eq!(sealed.collect::<Vec<_>>(), [(0, 1)]);

    let forgotten = lost.forget(app.store(), &left, app.clock()).await.unwrap();

    assert_eq!(forgotten.connections, 0);
    assert_eq!(forgotten.integrations, ["acme".parse().unwrap()]);
    let gateway = start(&app, &[new]).await.unwrap();
    let (row, caller) = (connection(&app, &gateway).await, app.caller().await);
    let change = |config: &[(&str, &str)]| IntegrationChangeRequest {
        integration_config: Some(
            config
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())))
                .collect(),
        ),
        ..IntegrationChangeRequest::default()
    };
    // A change of another field does not make the integration look complete.
    for request in [
        IntegrationChangeRequest::default(),
        change(&[]),
        change(&[("team", "red")]),
    ] {
        gateway::integrations::update(&gateway, &caller, "acme", request)
            .await
            .unwrap();
        let refused = gateway.target(&row).await.err().unwrap();
        assert!(
            matches!(refused, GatewayError::IntegrationSecretsLost(_)),
            "{refused}"
        );
        assert!(
            refused.to_string().contains("PATCH /integrations/acme"),
            "{refused}"
        );
    }
    gateway::integrations::update(&gateway, &caller, "acme", change(&[("app", NEXT)]))
        .await
        .unwrap();
    let target = gateway.target(&row).await.unwrap();
    assert_eq!(target.variables.integration_config["app"], NEXT);
}
