//! Limits of a connect session, because anyone may hold its token.

use std::time::Duration;

use gateway::{GatewayError, sessions};
use registry::{AuthMode, Registry};
use serde_json::{Map, Value as Json, json};
use testkit::{Reply, TestApp, on_both_databases};

use crate::connect_sessions::{made, session_token};

async fn connect(app: &TestApp, token: &str, password: &str) -> Reply {
    let known = app.simulator().credentials();
    let account = &known.account_sid;
    let path = format!("/api-auth/basic/twilio?connect_session_token={token}&params[accountSid]={account}");
    let body = json!({ "username": known.main_key_sid, "password": password });
    app.anonymous().post(&path, &body).await
}

const WRONG: &str = "00000000000000000000000000000000";

#[on_both_databases]
async fn a_session_waits_longer_and_longer_after_refusals(app: TestApp) {
    let token = session_token(&app).await;
    let good = app.simulator().credentials().main_key_secret.clone();
    for _ in 0..5 {
        connect(&app, &token, WRONG).await.expect(400);
    }

    let refused = connect(&app, &token, &good).await.expect(429);

    assert_eq!(refused.code(), "too_many_attempts");
    assert_eq!(refused.header("retry-after"), Some("15"));
    // Another process knows it, too.
    let other = app.another_gateway(Registry::builtin().unwrap()).await;
    let session = sessions::authenticate(&other, &token).await.unwrap();
    let body: Map<String, Json> = [("username", "x"), ("password", "y")]
        .map(|(name, value)| (name.to_owned(), value.into()))
        .into_iter()
        .collect();
    let known = app.simulator().credentials();
    let params = [("accountSid".to_owned(), known.account_sid.clone().into())]
        .into_iter()
        .collect();
    let body = [("username".to_owned(), Json::from(known.main_key_sid.clone()))]
        .into_iter()
        .chain(body)
        .collect();
    let there = sessions::connect(&other, &session, "twilio", Some(AuthMode::Basic), &body, params).await;
    assert!(
        !matches!(there, Ok(_) | Err(GatewayError::CredentialsRefused(_))),
        "{there:?}"
    );

    // Another session of the same user does not wait.
    connect(&app, &session_token(&app).await, &good).await.expect(200);
    app.advance(Duration::from_secs(16));
    connect(&app, &token, WRONG).await.expect(400);
    assert_eq!(
        connect(&app, &token, &good)
            .await
            .expect(429)
            .header("retry-after"),
        Some("30")
    );
    app.advance(Duration::from_secs(31));
    connect(&app, &token, &good).await.expect(200);
    // A success resets the count.
    for _ in 0..5 {
        connect(&app, &token, WRONG).await.expect(400);
    }
    connect(&app, &token, WRONG).await.expect(429);
}

#[on_both_databases]
async fn concurrent_requests_count_too(app: TestApp) {
    let token = session_token(&app).await;
    let attempts = (0..30).map(|_| connect(&app, &token, WRONG));

    let replies = futures::future::join_all(attempts).await;

    let tried = replies.iter().filter(|reply| reply.status == 400).count();
    let held = replies.iter().filter(|reply| reply.status == 429).count();
    assert_eq!((tried, held), (5, 25));
}

#[on_both_databases]
async fn a_session_makes_twenty_connections(app: TestApp) {
    let token = session_token(&app).await;
    let good = app.simulator().credentials().main_key_secret.clone();
    for _ in 0..20 {
        connect(&app, &token, &good).await.expect(200);
    }

    let refused = connect(&app, &token, &good).await.expect(400);

    assert_eq!(refused.code(), "resource_capped");
    assert!(
        refused.message().contains("20 connections"),
        "{}",
        refused.message()
    );
    // The token still shows the session, and a new session can connect.
    let session = made(&app, "", &json!({ "end_user": { "id": "u1" } })).await;
    connect(&app, session["token"].as_str().unwrap(), &good)
        .await
        .expect(200);
}
