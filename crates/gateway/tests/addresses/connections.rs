//! Addresses that a connection names, and the rest of its configuration.

use serde_json::{Value as Json, json};
use testkit::on_both_databases;

use crate::{Setup, header};

#[on_both_databases]
async fn undeclared_keys_are_kept_and_fill_placeholders(setup: Setup) {
    let host = setup.server.address().to_string();
    let config = json!({ "host": host, "portal": 12, "nested": { "a": [1.5, null] }, "webhook_id": "w1" });
    let made = setup.import("at-a-host", config.clone()).await.expect(201).json();
    assert_eq!(made["connection_config"], config);
    setup.proxied("at-a-host", None).await.expect(200);
    let seen = setup.last().await;
    assert_eq!(
        (header(&seen, "x-extra"), header(&seen, "x-team")),
        (Some("12"), None)
    );

    let patch = json!({ "connection_config": { "webhook_id": "w2", "nested": null, "team": "blue" } });
    let path = "/connections/one?provider_config_key=at-a-host";
    setup.app.admin().patch(path, &patch).await.expect(200);
    let shown = setup.app.admin().get(path).await.expect(200).json();
    let left = json!({ "host": host, "portal": 12, "webhook_id": "w2", "team": "blue" });
    assert_eq!(shown["connection_config"], left);

    // A form accepts them in addition to its own fields.
    let body = json!({ "host": host, "team": "blue", "connection_config": { "portal": "p" } });
    setup.connect("at-a-host", body).await.expect(201);
    let shown = setup.app.admin().get(path).await.expect(200).json();
    assert_eq!(shown["connection_config"]["portal"], "p");

    let many: serde_json::Map<String, Json> = (0..51).map(|n| (format!("k{n}"), json!("v"))).collect();
    let long = json!({ "host": host, "x": "y".repeat(9_000) });
    let nul = json!({ "host": host, "x": { "y": "\0" } });
    for (bad, field) in [
        (json!(many), "connection_config"),
        (long, "connection_config.x"),
        (nul, "connection_config.x"),
    ] {
        let refused = setup.import("at-a-host", bad).await.expect(400);
        assert_eq!(refused.fields(), [field]);
    }
}

#[on_both_databases]
async fn a_declared_key_is_required_only_if_connecting_needs_it(setup: Setup) {
    let refused = setup
        .import("at-a-host", json!({ "team": "blue" }))
        .await
        .expect(400);
    assert_eq!(refused.fields(), ["connection_config.host"]);
    assert!(
        refused.text.contains("The host of your account"),
        "{}",
        refused.text
    );
    assert_eq!(setup.requests().await, 0);
    // Connecting sends no request, and a later request names the missing field.
    setup.import("unverified-host", json!({})).await.expect(201);
    let refused = setup.proxied("unverified-host", None).await.expect(400);
    assert!(
        refused.message().contains("connection_config.host"),
        "{}",
        refused.text
    );
    assert!(
        refused.message().contains("PATCH /connections"),
        "{}",
        refused.text
    );
    assert_eq!(setup.requests().await, 0);
}

#[on_both_databases]
async fn a_session_checks_its_defaults_and_a_front_end_may_add_to_them(setup: Setup) {
    let admin = setup.app.admin();
    let session = |config: Json| json!({ "end_user": { "id": "u" }, "integrations_config_defaults": { "at-a-host": { "connection_config": config } } });
    for (bad, field) in [
        (json!({ "host": 1 }), "host"),
        (json!({ "x": "y".repeat(9_000) }), "x"),
    ] {
        let refused = admin.post("/connect/sessions", &session(bad)).await.expect(400);
        let path = format!("integrations_config_defaults.at-a-host.connection_config.{field}");
        assert_eq!(refused.fields(), [path]);
    }
    let host = setup.server.address().to_string();
    let made = admin
        .post(
            "/connect/sessions",
            &session(json!({ "host": host, "tenant": "t" })),
        )
        .await
        .expect(201);
    let token = made.json()["data"]["token"].as_str().unwrap().to_owned();
    let path = format!(
        "/api-auth/api-key/at-a-host?connect_session_token={token}&params%5Bportal%5D=7&params%5Btenant%5D=mine"
    );
    let body = json!({ "apiKey": "hush" });
    let connected = setup.app.anonymous().post(&path, &body).await.expect(200).json();
    let name = connected["connectionId"].as_str().unwrap();
    let shown = admin
        .get(&format!("/connections/{name}?provider_config_key=at-a-host"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        shown["connection_config"],
        json!({ "host": host, "tenant": "t", "portal": "7" })
    );
}

#[on_both_databases]
async fn a_host_at_the_end_of_an_address_may_have_a_port_and_a_path(setup: Setup) {
    let host = format!("{}/shop", setup.server.address());
    setup
        .import("at-a-host", json!({ "host": host }))
        .await
        .expect(201);
    assert_eq!(setup.last().await.url.path(), "/shop/rest/me");
    let port = setup.server.address().port();
    setup
        .import("below-a-domain", json!({ "sub": "127" }))
        .await
        .expect(201);
    let seen = setup.requests().await;
    for value in [
        "evil.example/#",
        "u@evil.example",
        "evil.example?x",
        "evil.example\\x",
        "evil .example",
        "éxample.com",
        "a/../b",
    ] {
        let refused = setup
            .import("at-a-host", json!({ "host": value }))
            .await
            .expect(400);
        assert_eq!(refused.fields(), ["connection_config.host"], "{value}");
    }
    for value in [
        "127.0.0.1/",
        &format!("127.0.0.1:{port}/x"),
        "127.0.0.1:80",
        "127/x",
    ] {
        let refused = setup
            .import("below-a-domain", json!({ "sub": value }))
            .await
            .expect(400);
        assert_eq!(refused.fields(), ["connection_config.sub"], "{value}");
    }
    assert_eq!(setup.requests().await, seen);
}
