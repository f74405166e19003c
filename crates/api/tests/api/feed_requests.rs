//! Invalid requests for the feed, and the fields that their errors name.

use reqwest::Method;
use serde_json::json;
use store::Dialect;
use testkit::TestApp;

use crate::feed::{about, call, records, synced};

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_feed_request_is_refused_by_name() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    synced(&app).await;
    app.connect_as(app.admin(), "other").await;
    app.run_due().await;
    let cursor = about(&records(&app, "").await[0], "cursor")
        .as_str()
        .unwrap()
        .to_owned();
    let many = vec!["ids=a"; 101].join("&");
    let long = format!("ids={}", "a".repeat(16_385));

    for (query, field) in [
        ("", "model"),
        ("model=message", "model"),
        ("model=Message&variant=none", "variant"),
        ("model=Message&variant=a%20b", "variant"),
        ("model=Message&limit=0", "limit"),
        ("model=Message&limit=10001", "limit"),
        ("model=Message&filter=added,changed", "filter"),
        ("model=Message&modified_after=yesterday", "modified_after"),
        ("model=Message&delta=x", "delta"),
        ("model=Message&cursor=x", "cursor"),
        ("model=Message&cursor=AAAAAAAAAAAAAAAAAAAAAA", "cursor"),
        ("model=Message&colour=red", "colour"),
        (&format!("model=Message&{many}"), "ids"),
        (&format!("model=Message&{long}"), "ids"),
    ] {
        let reply = call(app.admin(), Method::GET, &format!("/records?{query}"), None).await;
        let reply = reply.expect(400);
        assert_eq!(
            (reply.code().as_str(), reply.fields()),
            ("invalid_query_params", vec![field.to_owned()]),
            "{query}"
        );
    }
    for (body, field) in [
        (json!({ "model": "Message" }), ""),
        (json!({ "model": "None", "until_cursor": cursor }), "model"),
        (json!({ "model": "Message", "until_cursor": "x" }), "until_cursor"),
        (
            json!({ "model": "Message", "until_cursor": cursor, "limit": 0 }),
            "limit",
        ),
        (
            json!({ "model": "Message", "until_cursor": cursor, "limit": 10_001 }),
            "limit",
        ),
        (
            json!({ "model": "Message", "until_cursor": cursor, "surplus": 1 }),
            "surplus",
        ),
    ] {
        let reply = call(app.admin(), Method::PATCH, "/records/prune", Some(body.clone())).await;
        let reply = reply.expect(400);
        assert_eq!(
            (reply.code().as_str(), reply.fields()),
            ("invalid_body", vec![field.to_owned()]),
            "{body}"
        );
    }

    let named = |integration: &'static str, connection: &'static str, cursor: &str| {
        let path = format!("/records?model=Message&cursor={cursor}");
        let request = app.admin().request(Method::GET, &path);
        let request = request.header("Provider-Config-Key", integration);
        app.admin().send(request.header("Connection-Id", connection))
    };
    let foreign = named("twilio", "other", &cursor).await.expect(400);
    assert_eq!(foreign.fields(), ["cursor"], "it belongs to its connection");
    assert_eq!(
        named("twilio", "none", &cursor).await.expect(400).code(),
        "unknown_connection"
    );
    assert_eq!(
        named("none", "my-twilio", &cursor).await.expect(400).code(),
        "unknown_provider_config"
    );
    let bare = app.admin().get("/records?model=Message").await.expect(400);
    assert_eq!(
        (bare.code().as_str(), bare.fields()),
        (
            "invalid_headers",
            ["provider-config-key", "connection-id"]
                .map(str::to_owned)
                .to_vec()
        )
    );
}
