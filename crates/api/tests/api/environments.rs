//! Environments and API keys: creating, listing, using and revoking them.

use gateway::{Scope, api_keys};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value as Json, json};
use testkit::{TestApp, on_both_databases};

fn names(list: &Json) -> Vec<&str> {
    let names = list["data"].as_array().unwrap().iter();
    names.map(|one| one["name"].as_str().unwrap()).collect()
}

#[on_both_databases]
async fn an_environment_is_created_listed_and_deleted(app: TestApp) {
    let made = app
        .admin()
        .post("/environments", &json!({ "name": "staging" }))
        .await
        .expect(201);
    assert_eq!(made.json()["data"]["name"], "staging");
    assert_eq!(
        names(&app.admin().get("/environments").await.expect(200).json()),
        ["dev", "staging"]
    );

    let again = app
        .admin()
        .post("/environments", &json!({ "name": "staging" }))
        .await
        .expect(400)
        .json();
    assert_eq!(again["error"]["errors"][0]["path"], json!(["name"]));
    app.admin()
        .post("/environments", &json!({ "name": "no spaces" }))
        .await
        .expect(400);

    app.admin().delete("/environments/staging").await.expect(200);
    assert_eq!(
        names(&app.admin().get("/environments").await.expect(200).json()),
        ["dev"]
    );
    assert_eq!(
        app.admin()
            .delete("/environments/staging")
            .await
            .expect(404)
            .code(),
        "not_found"
    );
}

#[on_both_databases]
async fn an_environment_in_use_cannot_be_deleted(app: TestApp) {
    let other = app.environment("other").await;
    app.connect_as(&other, "theirs").await;

    let reply = app.admin().delete("/environments/other").await.expect(409);
    assert!(reply.text.contains("1 connections"), "{}", reply.text);
    let reply = other.delete("/environments/other").await.expect(409);
    assert!(reply.text.contains("this key belongs"), "{}", reply.text);

    other
        .delete("/connections/theirs?provider_config_key=twilio")
        .await
        .expect(200);
    app.admin().delete("/environments/other").await.expect(200);
    assert_eq!(
        other.get("/connections").await.expect(401).code(),
        "unknown_account"
    );
}

#[on_both_databases]
async fn a_configured_key_that_was_revoked_stays_revoked_and_the_process_starts(app: TestApp) {
    let key = SecretString::from("a-configured-key-0123456789abcdef");
    let start = async |environment: &str| {
        let environment = environment.parse().unwrap();
        let made = api_keys::bootstrap(app.gateway(), &environment, Some(key.clone()));
        assert!(made.await.unwrap().is_none());
    };
    start("dev").await;
    let holder = app.anonymous().with_key(Some(key.expose_secret().to_owned()));
    holder.get("/connections").await.expect(200);

    start("elsewhere").await;
    assert!(
        app.logs()
            .contains("belongs to another environment than elsewhere")
    );

    let keys = app
        .admin()
        .get("/environments/dev/api-keys")
        .await
        .expect(200)
        .json();
    let keys = keys["data"].as_array().unwrap();
    let ours = keys
        .iter()
        .find(|one| one["name"] == "from configuration")
        .unwrap();
    let path = format!("/environments/dev/api-keys/{}", ours["id"].as_str().unwrap());
    app.admin().delete(&path).await.expect(200);
    start("dev").await;
    assert!(app.logs().contains("was revoked and stays so"));
    holder.get("/connections").await.expect(401);
}

#[on_both_databases]
async fn a_key_that_another_process_revoked_changes_nothing_anymore(app: TestApp) {
    let body = json!({ "name": "maker", "scopes": ["environment:*", "account:*"] });
    let path = "/environments/dev/api-keys";
    let made = app.admin().post(path, &body).await.expect(201).json();
    let id = made["data"]["id"].as_str().unwrap().parse().unwrap();
    let secret = made["data"]["secret"].as_str().unwrap().to_owned();
    let maker = app.anonymous().with_key(Some(secret));
    // This caches its key.
    maker.get("/connections").await.expect(200);
    let (environment, now) = (app.caller().await.environment, app.clock().now());
    let revoke = move |c: &mut store::DbConn| store::api_keys::revoke(c, environment, id, now);
    app.store().write(revoke).await.unwrap();

    maker.post(path, &body).await.expect(401);
    maker
        .post("/environments", &json!({ "name": "mine" }))
        .await
        .expect(401);
    maker.delete("/environments/dev").await.expect(401);
}

#[on_both_databases]
async fn a_key_is_shown_once_works_and_is_revoked(app: TestApp) {
    let body = json!({ "name": "reader", "scopes": ["environment:connections:*"] });
    let made = app
        .admin()
        .post("/environments/dev/api-keys", &body)
        .await
        .expect(201)
        .json();
    let (id, secret) = (&made["data"]["id"], made["data"]["secret"].as_str().unwrap());
    let reader = app.anonymous().with_key(Some(secret.to_owned()));
    reader.get("/connections").await.expect(200);
    assert_eq!(reader.get("/integrations").await.expect(403).code(), "forbidden");

    let list = app.admin().get("/environments/dev/api-keys").await.expect(200);
    assert!(
        !list.text.contains(secret),
        "a list shows the beginnings of keys alone"
    );
    let list = list.json();
    let shown = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["id"] == *id)
        .unwrap();
    assert_eq!(
        (&shown["name"], &shown["revoked_at"]),
        (&json!("reader"), &Json::Null)
    );
    assert!(secret.starts_with(shown["prefix"].as_str().unwrap()));
    assert!(shown["last_used_at"].as_str().unwrap().ends_with('Z'));

    let path = format!("/environments/dev/api-keys/{}", id.as_str().unwrap());
    app.admin().delete(&path).await.expect(200);
    app.admin().delete(&path).await.expect(200);
    assert_eq!(
        reader.get("/connections").await.expect(401).code(),
        "unknown_account"
    );
    let list = app
        .admin()
        .get("/environments/dev/api-keys")
        .await
        .expect(200)
        .json();
    let shown = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["id"] == *id)
        .unwrap();
    assert!(shown["revoked_at"].is_string());

    app.environment("other").await;
    let elsewhere = path.replace("/dev/", "/other/");
    assert_eq!(
        app.admin().delete(&elsewhere).await.expect(404).code(),
        "not_found"
    );
    app.admin()
        .delete("/environments/dev/api-keys/nonsense")
        .await
        .expect(404);
}

#[on_both_databases]
async fn a_key_can_be_a_uuid(app: TestApp) {
    let body = json!({ "name": "for an old client", "scopes": ["environment:*"], "uuid": true });
    let made = app
        .admin()
        .post("/environments/dev/api-keys", &body)
        .await
        .expect(201)
        .json();
    let secret = made["data"]["secret"].as_str().unwrap();

    let parts: Vec<usize> = secret.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12]);
    assert_eq!(secret.chars().nth(14), Some('4'), "the version of a random UUID");
    app.anonymous()
        .with_key(Some(secret.to_owned()))
        .get("/integrations")
        .await
        .expect(200);
}

#[on_both_databases]
async fn a_key_cannot_have_more_scopes_than_its_creator(app: TestApp) {
    let maker = app.client_with(&[Scope::ApiKeysCreate, Scope::RecordsRead]).await;
    let make = |scope: &str| json!({ "name": "made", "scopes": [scope] });

    maker
        .post("/environments/dev/api-keys", &make("environment:records:read"))
        .await
        .expect(201);
    for more in [
        "environment:*",
        "environment:records:*",
        "environment:proxy",
        "account:*",
    ] {
        let refused = maker
            .post("/environments/dev/api-keys", &make(more))
            .await
            .expect(400)
            .json();
        assert_eq!(
            refused["error"]["errors"][0]["path"],
            json!(["scopes", "0"]),
            "{more}"
        );
    }
}

#[on_both_databases]
async fn an_invalid_key_is_refused_field_by_field(app: TestApp) {
    let body = json!({ "name": "", "scopes": ["environment:*", "everything"] });
    let refused = app
        .admin()
        .post("/environments/dev/api-keys", &body)
        .await
        .expect(400)
        .json();
    let paths: Vec<&Json> = refused["error"]["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| &error["path"])
        .collect();
    assert_eq!(paths, [&json!(["name"]), &json!(["scopes", "1"])]);

    let missing = app
        .admin()
        .post(
            "/environments/nowhere/api-keys",
            &json!({ "name": "a", "scopes": ["environment:*"] }),
        )
        .await
        .expect(404);
    assert_eq!(missing.code(), "not_found");
}
