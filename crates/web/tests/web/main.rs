//! The connect page as a program sees it. `tests/pages` runs it in a browser.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by a panic"
)]

use reqwest::Method;
use serde_json::{Value as Json, json};
use store::Dialect;
use testkit::{AppBuilder, Reply, TestApp, on_both_databases};

/// Creates a session and returns its token.
async fn token(app: &TestApp, body: Json) -> String {
    let reply = app.admin().post("/connect/sessions", &body).await.expect(201);
    reply.json()["data"]["token"].as_str().unwrap().to_owned()
}

async fn twilio_only(app: &TestApp) -> String {
    let body = json!({ "end_user": { "id": "ann" }, "allowed_integrations": ["twilio"] });
    token(app, body).await
}

/// Sends the form of Twilio's API key.
async fn submit(app: &TestApp, token: &str, more: &[(&str, &str)]) -> Reply {
    let known = app.simulator().credentials();
    let mut fields = vec![
        ("session_token", token),
        ("integration", "twilio"),
        ("field.accountSid", known.account_sid.as_str()),
        ("field.apiKeySid", known.main_key_sid.as_str()),
        ("field.apiKeySecret", known.main_key_secret.as_str()),
    ];
    fields.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    fields.extend(more);
    let request = app.anonymous().request(Method::POST, "/connect").form(&fields);
    app.anonymous().send(request).await
}

async fn connections(app: &TestApp) -> usize {
    let all = app.admin().get("/connections").await.expect(200).json();
    all["connections"].as_array().unwrap().len()
}

#[on_both_databases]
async fn a_form_connects_and_its_values_are_checked_first(app: TestApp) {
    let token = twilio_only(&app).await;

    let page = app
        .anonymous()
        .get(&format!("/connect?session_token={token}"))
        .await
        .expect(200);
    assert!(page.text.contains("Connect Twilio"), "{}", page.text);

    let wrong = submit(&app, &token, &[("field.accountSid", "AC12")])
        .await
        .expect(400);
    assert!(
        wrong
            .text
            .contains("must be AC followed by 32 hexadecimal digits")
    );
    let secret = "a-secret-that-was-typed";
    let refused = submit(&app, &token, &[("field.apiKeySecret", secret)])
        .await
        .expect(400);
    assert!(refused.text.contains("did not accept these credentials"));
    assert!(!refused.text.contains(secret) && !app.logs().contains(secret));
    assert_eq!(connections(&app).await, 0);

    submit(&app, &token, &[("scripted", "1")]).await.expect(200);
    assert_eq!(connections(&app).await, 1);
    app.run_due().await;
    let rows = app.admin().get("/connections").await.expect(200).json();
    let name = rows["connections"][0]["connection_id"].as_str().unwrap();
    let messages = app
        .admin()
        .get(&format!("/twilio/messages?connectionId={name}&limit=1"))
        .await;
    assert!(messages.expect(200).text.contains("sid"));
}

#[on_both_databases]
async fn a_field_that_the_form_does_not_have_changes_nothing(app: TestApp) {
    let token = twilio_only(&app).await;
    let hidden = [
        ("field.webhookSecret", "mine"),
        ("field.authToken", "x"),
        ("scripted", "1"),
    ];
    submit(&app, &token, &hidden).await.expect(200);
    let shown = app.admin().get("/connections").await.expect(200);
    assert!(!shown.text.contains("webhookSecret"), "{}", shown.text);
}

#[on_both_databases]
async fn a_session_that_names_no_integration_offers_those_of_its_environment(app: TestApp) {
    let token = token(&app, json!({ "end_user": { "id": "ann" } })).await;
    let address = format!("/connect?session_token={token}");
    let all = app.anonymous().get(&address).await.expect(200).text;
    assert!(all.contains("integration=twilio") && all.contains("integration=sendgrid"));

    let own = json!({ "provider": "sendgrid", "unique_key": "mail", "display_name": "Our mail" });
    app.admin().post("/integrations", &own).await.expect(200);
    let one = app.anonymous().get(&address).await.expect(200).text;
    assert!(one.contains("Connect Our mail"), "the only one is shown at once");
    let other = app
        .anonymous()
        .get(&format!("{address}&integration=twilio"))
        .await;
    assert!(
        other.expect(200).text.contains("Connect Twilio"),
        "every provider is allowed"
    );
}

#[on_both_databases]
async fn a_wrong_token_says_so_in_the_readers_language(app: TestApp) {
    for (language, words) in [("de-CH, en;q=0.5", "abgelaufen"), ("nl", "expired")] {
        let request = app
            .anonymous()
            .request(Method::GET, "/connect?session_token=nonsense")
            .header("accept-language", language);
        let page = app.anonymous().send(request).await.expect(401);
        assert!(page.text.contains(words), "{}", page.text);
    }
}

#[tokio::test]
async fn pages_below_a_path_link_below_it() {
    let app = AppBuilder::default()
        .with_public_url()
        .web(|options| options.frame_ancestors.push("https://app.example.com".to_owned()))
        .start(Dialect::Sqlite)
        .await
        .unwrap();
    let page = app.anonymous().get("/connect").await.expect(200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.ends_with("frame-ancestors https://app.example.com"),
        "{policy}"
    );
    assert_eq!(page.header("x-frame-options"), None);
    let element = app.anonymous().get("/connect.js").await.expect(200);
    assert_eq!(element.header("cache-control"), Some("public, max-age=300"));
    for name in ["base.css", "connect-page.css", "brand.css", "connect-page.js"] {
        let start = page.text.find(&format!("/assets/{name}?v=")).unwrap();
        let address = page.text.get(start..).unwrap().split('"').next().unwrap();
        let cache = async |address: &str| {
            let file = app.anonymous().get(address).await.expect(200);
            file.header("cache-control").unwrap().to_owned()
        };
        assert!(cache(address).await.contains("immutable"), "{name}");
        // Another version's address must not keep this version's file.
        assert_eq!(cache(&format!("/assets/{name}?v=other")).await, "no-store");
    }
    let root = app
        .anonymous()
        .get("/?apiURL=https://trunkline.example.com&lang=de")
        .await;
    assert!(
        root.text.contains("Öffnen Sie diese Seite"),
        "the client followed the redirect: {}",
        root.text
    );
}
