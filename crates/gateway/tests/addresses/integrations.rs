//! The addresses that an integration names.

use registry::Registry;
use serde_json::{Value as Json, json};
use testkit::{AppBuilder, Dialect, on_both_databases, wait_until};
use wiremock::matchers::path;
use wiremock::{Mock, ResponseTemplate};

use crate::{ENTRIES, Place, header};

#[on_both_databases]
async fn an_integration_without_its_address_is_refused_when_created_and_when_used(place: Place) {
    for provider in ["own-api", "own-api-verified"] {
        let refused = place.make(provider, "mine", json!({})).await.expect(400);
        let fields = ["integration_config.baseUrl", "integration_config.keyName"];
        assert_eq!(refused.fields(), fields);
        let named = json!({ "keyName": "x-key" });
        let refused = place.make(provider, "mine", named).await.expect(400);
        assert_eq!(refused.fields(), ["integration_config.baseUrl"]);
        assert!(refused.text.contains("Where the API is"), "{}", refused.text);
        // The provider under its own name has no configuration at all.
        let refused = place.connect(provider, json!({})).await.expect(400);
        assert!(
            refused.message().contains("integration_config.baseUrl"),
            "{}",
            refused.text
        );
        assert!(
            refused.message().contains("POST /integrations"),
            "{}",
            refused.text
        );
        place.import(provider, json!({})).await.expect(400);
        let session = json!({ "end_user": { "id": "u" }, "allowed_integrations": [provider] });
        let refused = place
            .app
            .admin()
            .post("/connect/sessions", &session)
            .await
            .expect(400);
        assert_eq!(refused.fields(), ["allowed_integrations.0"]);

        let old = format!("{provider}-old");
        place.store(provider, &old, &[("keyName", "x-key")]).await;
        let refused = place.connect(&old, json!({})).await.expect(400);
        assert!(
            refused.message().contains(&format!("PATCH /integrations/{old}")),
            "{}",
            refused.text
        );
    }
    assert_eq!(place.requests().await, 0);
}

#[on_both_databases]
async fn requests_go_to_the_address_of_the_integration_with_the_key_where_it_says(place: Place) {
    let config = json!({
        "keyName": "X-My-Key", "valueTemplate": "Api-Key ${apiKey}", "baseUrl": format!("{}/base", place.server.uri()),
    });
    place.make("own-api", "mine", config.clone()).await.expect(200);
    place.make("own-api-verified", "ours", config).await.expect(200);
    place.connect("mine", json!({})).await.expect(201);
    assert_eq!(place.requests().await, 0, "there is nothing to verify with");
    place.connect("ours", json!({})).await.expect(201);
    assert_eq!(place.last().await.url.path(), "/base/me");

    for key in ["mine", "ours"] {
        place.proxied(key, None).await.expect(200);
        let seen = place.last().await;
        assert_eq!(seen.url.path(), "/base/things");
        assert_eq!(header(&seen, "x-my-key"), Some("Api-Key hush"));
    }
    let refused = place
        .proxied("mine", Some(&place.placeholder.uri()))
        .await
        .expect(400);
    assert_eq!(refused.code(), "base_url_override_not_allowed");
    assert_eq!(place.requests().await, 3);
}

#[on_both_databases]
async fn a_host_without_a_dot_is_not_an_address(dialect: Dialect) {
    let folder = tempfile::tempdir().unwrap();
    let text = ENTRIES
        .replace("PLACEHOLDER", "https://placeholder.invalid")
        .replace("PORT", "1");
    std::fs::write(folder.path().join("providers.yaml"), text).unwrap();
    let registry = Registry::load(Some(folder.path())).unwrap();
    let builder = AppBuilder::default().registry(registry);
    let builder = builder.upstream(|options| options.allow_private_addresses = false);
    let Some(app) = builder.start(dialect).await else {
        return;
    };
    let body = json!({ "connectionId": "one", "apiKey": "hush" });
    app.admin()
        .post("/own-api-bearer/connect", &body)
        .await
        .expect(201);
    let request = app.admin().request(upstream::Method::GET, "/proxy/x");
    let request = request
        .header("Provider-Config-Key", "own-api-bearer")
        .header("Connection-Id", "one");
    let refused = app.admin().send(request).await.expect(403);
    assert_eq!(refused.code(), "address_refused");
}

#[on_both_databases]
async fn a_change_of_the_configuration_is_merged_with_what_is_stored(place: Place) {
    let base = format!("{}/base", place.server.uri());
    let config = json!({ "keyName": "x-key", "baseUrl": base });
    place.make("own-api", "mine", config.clone()).await.expect(200);
    let changed = place
        .patch("mine", json!({ "keyLabel": "Token" }))
        .await
        .expect(200);
    let whole = json!({ "keyName": "x-key", "baseUrl": base, "keyLabel": "Token" });
    assert_eq!(changed.json()["data"]["integration_config"], whole);
    let changed = place
        .patch("mine", json!({ "keyLabel": null, "keyName": "x-other" }))
        .await
        .expect(200);
    assert_eq!(
        changed.json()["data"]["integration_config"],
        json!({ "keyName": "x-other", "baseUrl": base })
    );
    let refused = place.patch("mine", json!({ "baseUrl": null })).await.expect(400);
    assert_eq!(refused.fields(), ["integration_config.baseUrl"]);

    place.connect("mine", json!({})).await.expect(201);
    place
        .patch("mine", json!({ "keyLabel": "Ours" }))
        .await
        .expect(200);
    place
        .patch("mine", json!({ "keyName": "x-other", "keyLabel": null }))
        .await
        .expect(200);
    let refused = place
        .patch("mine", json!({ "keyName": "x-key", "keyLabel": "No" }))
        .await
        .expect(400);
    assert_eq!(refused.fields(), ["integration_config.keyName"]);
    let refused = place
        .patch("mine", json!({ "valueTemplate": "Token ${apiKey}" }))
        .await
        .expect(400);
    assert_eq!(refused.fields(), ["integration_config.valueTemplate"]);
    // What is sent and is in force already changes nothing.
    place
        .patch("mine", json!({ "valueTemplate": "${apiKey}", "baseUrl": base }))
        .await
        .expect(200);
    let shown = place
        .app
        .admin()
        .get("/integrations/mine")
        .await
        .expect(200)
        .json();
    assert_eq!(shown["data"]["integration_config"]["keyLabel"], Json::Null);
}

#[on_both_databases]
async fn a_template_of_an_integration_has_only_declared_placeholders_and_no_nesting(place: Place) {
    let base = format!("{}/base", place.server.uri());
    let nested = |levels: usize| format!("{}${{apiKey}}{}", "${base64(".repeat(levels), ")}".repeat(levels));
    let bad = [
        nested(2),
        nested(64),
        nested(400),
        "${apiKey}${metadata.x}".to_owned(),
        "${apiKey}${random}".to_owned(),
        "${apiKey}${connectionConfig.none}".to_owned(),
        "${apiKey} || x".to_owned(),
    ];
    for template in &bad {
        let config = json!({ "keyName": "x-key", "baseUrl": base, "valueTemplate": template });
        let refused = place.make("own-api", "mine", config).await.expect(400);
        assert_eq!(refused.fields(), ["integration_config.valueTemplate"]);
        assert!(refused.text.len() < 1_000, "{}", refused.text.len());
    }
    let config =
        json!({ "keyName": "x-key", "baseUrl": base, "valueTemplate": "Basic ${base64(${apiKey}:)}" });
    place.make("own-api", "mine", config).await.expect(200);
    place.connect("mine", json!({})).await.expect(201);
    place.proxied("mine", None).await.expect(200);
    assert_eq!(header(&place.last().await, "x-key"), Some("Basic aHVzaDo="));
    let seen = place.requests().await;
    for (index, template) in bad.iter().enumerate() {
        let key = format!("old-{index}");
        let config = [
            ("keyName", "x-key"),
            ("baseUrl", base.as_str()),
            ("valueTemplate", template.as_str()),
        ];
        place.store("own-api", &key, &config).await;
        place.connect(&key, json!({})).await.expect(201);
        let refused = place.proxied(&key, None).await.expect(400);
        assert!(
            refused.message().contains("integration_config.valueTemplate"),
            "{}",
            refused.text
        );
        assert!(refused.text.len() < 1_000, "{}", refused.text.len());
    }
    for (index, base) in [
        "https://u:p@127.0.0.1",
        "https://127.0.0.1/?x",
        "https://127.0.0.1/#x",
        "ftp://x",
        "${apiKey}",
    ]
    .iter()
    .enumerate()
    {
        let config = json!({ "keyName": "x-key", "baseUrl": base });
        let refused = place.make("own-api", "bad", config).await.expect(400);
        assert_eq!(refused.fields(), ["integration_config.baseUrl"], "{base}");
        let key = format!("bad-{index}");
        place
            .store("own-api", &key, &[("keyName", "x-key"), ("baseUrl", base)])
            .await;
        place.connect(&key, json!({})).await.expect(201);
        place.proxied(&key, None).await.expect(400);
    }
    assert_eq!(place.requests().await, seen);
}

#[on_both_databases]
async fn a_base_url_override_is_not_a_template(place: Place) {
    let config = json!({ "keyName": "x-key", "baseUrl": place.server.uri() });
    place.make("own-api", "mine", config).await.expect(200);
    place.connect("mine", json!({})).await.expect(201);
    let nested = format!("https://{}x{}", "${base64(".repeat(64), ")}".repeat(64));
    let deep = format!("https://{}", "${base64(".repeat(1_000));
    for base in [
        nested.as_str(),
        deep.as_str(),
        "https://${apiKey}.evil.example",
        "https://${now}",
        "https://${connectionConfig.a || connectionConfig.b}",
        "https://${metadata.x}",
        "https://x || https://y",
    ] {
        let refused = place.proxied("mine", Some(base)).await.expect(400);
        assert!(refused.text.len() < 1_000, "{}", refused.text.len());
    }
    assert_eq!(place.requests().await, 0);
}

#[on_both_databases]
async fn credentials_are_not_stored_if_the_address_changed_during_verification(place: Place) {
    let config = json!({ "keyName": "x-key", "baseUrl": place.server.uri() });
    place.make("own-api-verified", "mine", config).await.expect(200);
    let slow = ResponseTemplate::new(200).set_delay(std::time::Duration::from_millis(300));
    let slow = Mock::given(path("/me")).respond_with(slow).with_priority(1);
    slow.mount(&place.server).await;
    let moved = async {
        wait_until("the provider is asked", async || place.requests().await > 0).await;
        place
            .patch("mine", json!({ "baseUrl": place.placeholder.uri() }))
            .await
            .expect(200);
    };
    let (connected, ()) = tokio::join!(place.connect("mine", json!({})), moved);
    connected.expect(409);
    let listed = place.app.admin().get("/connections").await.expect(200).json();
    assert_eq!(listed["connections"], json!([]));
    assert_eq!(place.requests().await, 1);
}
