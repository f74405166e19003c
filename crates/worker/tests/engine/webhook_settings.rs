//! What changes of an endpoint's settings do to its deliveries.

use std::time::Duration;

use serde_json::json;
use testkit::{Receiver, TestApp, on_both_databases};

use crate::webhooks::{endpoint, text};

#[on_both_databases]
async fn both_secrets_sign_until_the_overlap_ends(app: TestApp) {
    let receiver = Receiver::start().await;
    let made = endpoint(
        app.admin(),
        &receiver.url(),
        json!({ "events": ["connection.updated"] }),
    )
    .await;
    let path = format!("/webhook-endpoints/{}/rotate-secret", text(&made["id"]));
    app.connect_twilio().await;
    app.run_due().await;
    let rotated = app
        .admin()
        .post(&path, &json!({ "overlap_seconds": 60 }))
        .await
        .expect(200)
        .json();
    assert_ne!(rotated["data"]["secret"], made["secret"]);
    let again = async || {
        app.admin()
            .post("/twilio/connect", &app.connect_body("my-twilio"))
            .await
            .expect(201);
        app.run_due().await;
        let got = receiver.got();
        got.last().unwrap().header("webhook-signature").split(' ').count()
    };
    assert_eq!(again().await, 2);
    app.advance(Duration::from_secs(61));
    assert_eq!(again().await, 1);
}

#[on_both_databases]
async fn nangos_settings_keep_what_else_was_set_of_the_endpoint(app: TestApp) {
    let first = json!({ "primary_url": "https://app.example.com/one" });
    app.admin().put("/environment/webhooks", &first).await.expect(200);
    let listed = app.admin().get("/webhook-endpoints").await.expect(200).json();
    let path = format!("/webhook-endpoints/{}", text(&listed["data"][0]["id"]));
    let change = json!({ "ordered": true, "headers": { "authorization": "Bearer secret-of-the-app" } });
    app.admin().patch(&path, &change).await.expect(200);

    let second = json!({ "primary_url": "https://app.example.com/two", "on_sync_error": false });
    app.admin()
        .put("/environment/webhooks", &second)
        .await
        .expect(200);
    let shown = app.admin().get(&path).await.expect(200);
    assert!(!shown.text.contains("secret-of-the-app"));
    let shown = shown.json();
    assert_eq!(shown["data"]["url"], "https://app.example.com/two");
    assert_eq!(shown["data"]["ordered"], true);
    assert_eq!(shown["data"]["header_names"], json!(["authorization"]));
    assert!(
        !shown["data"]["events"]
            .as_array()
            .unwrap()
            .contains(&json!("sync.failed"))
    );
}
