//! Addresses that an integration names.

use serde_json::{Value as Json, json};
use testkit::{AppBuilder, Dialect, on_both_databases, wait_until};
use wiremock::matchers::path;
use wiremock::{Mock, ResponseTemplate};

use crate::{ENTRIES, Setup, header};

#[on_both_databases]
async fn an_integration_without_its_address_is_refused_when_created_and_when_used(setup: Setup) {
    for provider in ["own-api", "own-api-verified"] {
        let refused = setup.make(provider, "mine", json!({})).await.expect(400);
        let fields = ["integration_config.baseUrl", "integration_config.keyName"];
        assert_eq!(refused.fields(), fields);
        let named = json!({ "keyName": "x-key" });
        let refused = setup.make(provider, "mine", named).await.expect(400);
        assert_eq!(refused.fields(), ["integration_config.baseUrl"]);
        assert!(refused.text.contains("Where the API is"), "{}", refused.text);
        // The provider under its own name has no configuration.
        let refused = setup.connect(provider, json!({})).await.expect(400);
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
        setup.import(provider, json!({})).await.expect(400);
        let session = json!({ "end_user": { "id": "u" }, "allowed_integrations": [provider] });
        let refused = setup
            .app
            .admin()
            .post("/connect/sessions", &session)
            .await
            .expect(400);
        assert_eq!(refused.fields(), ["allowed_integrations.0"]);

        let old = format!("{provider}-old");
        setup.store(provider, &old, &[("keyName", "x-key")]).await;
        let refused = setup.connect(&old, json!({})).await.expect(400);
        assert!(
            refused.message().contains(&format!("PATCH /integrations/{old}")),
            "{}",
            refused.text
        );
    }
    assert_eq!(setup.requests().await, 0);
}

#[on_both_databases]
async fn requests_go_to_the_address_of_the_integration_with_the_key_where_it_says(setup: Setup) {
    let config = json!({
        "keyName": "X-My-Key", "valueTemplate": "Api-Key ${apiKey}", "baseUrl": format!("{}/base", setup.server.uri()),
    });
    setup.make("own-api", "mine", config.clone()).await.expect(200);
    setup.make("own-api-verified", "ours", config).await.expect(200);
    setup.connect("mine", json!({})).await.expect(201);
    assert_eq!(setup.requests().await, 0, "there is nothing to verify with");
    setup.connect("ours", json!({})).await.expect(201);
    assert_eq!(setup.last().await.url.path(), "/base/me");

    for key in ["mine", "ours"] {
        setup.proxied(key, None).await.expect(200);
        let seen = setup.last().await;
        assert_eq!(seen.url.path(), "/base/things");
        assert_eq!(header(&seen, "x-my-key"), Some("Api-Key hush"));
    }
    let refused = setup
        .proxied("mine", Some(&setup.placeholder.uri()))
        .await
        .expect(400);
    assert_eq!(refused.code(), "base_url_override_not_allowed");
    assert_eq!(setup.requests().await, 3);
}

#[on_both_databases]
async fn a_host_without_a_dot_is_not_an_address(dialect: Dialect) {
    let text = ENTRIES
        .replace("PLACEHOLDER", "https://placeholder.invalid")
        .replace("PORT", "1");
    let builder = AppBuilder::default()
        .provider_file("providers.yaml", &text)
        .upstream(|options| options.allow_private_addresses = false);
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
async fn a_change_of_the_configuration_is_merged_with_what_is_stored(setup: Setup) {
    let base = format!("{}/base", setup.server.uri());
    let config = json!({ "keyName": "x-key", "baseUrl": base });
    setup.make("own-api", "mine", config.clone()).await.expect(200);
    let changed = setup
        .patch("mine", json!({ "keyLabel": "Token" }))
        .await
        .expect(200);
    let whole = json!({ "keyName": "x-key", "baseUrl": base, "keyLabel": "Token" });
    assert_eq!(changed.json()["data"]["integration_config"], whole);
    let changed = setup
        .patch("mine", json!({ "keyLabel": null, "keyName": "x-other" }))
        .await
        .expect(200);
    assert_eq!(
        changed.json()["data"]["integration_config"],
        json!({ "keyName": "x-other", "baseUrl": base })
    );
    let refused = setup.patch("mine", json!({ "baseUrl": null })).await.expect(400);
    assert_eq!(refused.fields(), ["integration_config.baseUrl"]);

    setup.connect("mine", json!({})).await.expect(201);
    setup
        .patch("mine", json!({ "keyLabel": "Ours" }))
        .await
        .expect(200);
    setup
        .patch("mine", json!({ "keyName": "x-other", "keyLabel": null }))
        .await
        .expect(200);
    let refused = setup
        .patch("mine", json!({ "keyName": "x-key", "keyLabel": "No" }))
        .await
        .expect(400);
    assert_eq!(refused.fields(), ["integration_config.keyName"]);
    let refused = setup
        .patch("mine", json!({ "valueTemplate": "Token ${apiKey}" }))
        .await
        .expect(400);
    assert_eq!(refused.fields(), ["integration_config.valueTemplate"]);
    // Sending a value that is already set changes nothing.
    setup
        .patch("mine", json!({ "valueTemplate": "${apiKey}", "baseUrl": base }))
        .await
        .expect(200);
    let shown = setup
        .app
        .admin()
        .get("/integrations/mine")
        .await
        .expect(200)
        .json();
    assert_eq!(shown["data"]["integration_config"]["keyLabel"], Json::Null);
}

#[on_both_databases]
async fn a_template_of_an_integration_has_only_declared_placeholders_and_no_nesting(setup: Setup) {
    let base = format!("{}/base", setup.server.uri());
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
        let refused = setup.make("own-api", "mine", config).await.expect(400);
        assert_eq!(refused.fields(), ["integration_config.valueTemplate"]);
        assert!(refused.text.len() < 1_000, "{}", refused.text.len());
    }
    let config =
        json!({ "keyName": "x-key", "baseUrl": base, "valueTemplate": "Basic ${base64(${apiKey}:)}" });
    setup.make("own-api", "mine", config).await.expect(200);
    setup.connect("mine", json!({})).await.expect(201);
    setup.proxied("mine", None).await.expect(200);
    assert_eq!(header(&setup.last().await, "x-key"), Some("Basic aHVzaDo="));
    let seen = setup.requests().await;
    for (index, template) in bad.iter().enumerate() {
        let key = format!("old-{index}");
        let config = [
            ("keyName", "x-key"),
            ("baseUrl", base.as_str()),
            ("valueTemplate", template.as_str()),
        ];
        setup.store("own-api", &key, &config).await;
        setup.connect(&key, json!({})).await.expect(201);
        let refused = setup.proxied(&key, None).await.expect(400);
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
        let refused = setup.make("own-api", "bad", config).await.expect(400);
        assert_eq!(refused.fields(), ["integration_config.baseUrl"], "{base}");
        let key = format!("bad-{index}");
        setup
            .store("own-api", &key, &[("keyName", "x-key"), ("baseUrl", base)])
            .await;
        setup.connect(&key, json!({})).await.expect(201);
        setup.proxied(&key, None).await.expect(400);
    }
    assert_eq!(setup.requests().await, seen);
}

#[on_both_databases]
async fn a_base_url_override_is_not_a_template(setup: Setup) {
    let config = json!({ "keyName": "x-key", "baseUrl": setup.server.uri() });
    setup.make("own-api", "mine", config).await.expect(200);
    setup.connect("mine", json!({})).await.expect(201);
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
        let refused = setup.proxied("mine", Some(base)).await.expect(400);
        assert!(refused.text.len() < 1_000, "{}", refused.text.len());
    }
    assert_eq!(setup.requests().await, 0);
}

#[on_both_databases]
async fn credentials_are_not_stored_if_the_address_changed_during_verification(setup: Setup) {
    let config = json!({ "keyName": "x-key", "baseUrl": setup.server.uri() });
    setup.make("own-api-verified", "mine", config).await.expect(200);
    let slow = ResponseTemplate::new(200).set_delay(std::time::Duration::from_millis(300));
    let slow = Mock::given(path("/me")).respond_with(slow).with_priority(1);
    slow.mount(&setup.server).await;
    let moved = async {
        wait_until("the provider gets a request", async || setup.requests().await > 0).await;
        setup
            .patch("mine", json!({ "baseUrl": setup.placeholder.uri() }))
            .await
            .expect(200);
    };
    let (connected, ()) = tokio::join!(setup.connect("mine", json!({})), moved);
    connected.expect(409);
    let listed = setup.app.admin().get("/connections").await.expect(200).json();
    assert_eq!(listed["connections"], json!([]));
    assert_eq!(setup.requests().await, 1);
}
