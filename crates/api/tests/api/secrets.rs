//! No secret is in a response, in the log or in the database's files.

use gateway::Scope;
use serde_json::json;
use store::Dialect;
use testkit::{TestApp, on_both_databases};

use crate::connect_sessions::session_token;

#[on_both_databases]
async fn no_response_no_log_and_no_file_holds_a_secret(app: TestApp) {
    let known = app.simulator().credentials();
    app.connect_twilio().await;
    let token =
        json!({ "connectionId": "by-token", "accountSid": known.account_sid, "authToken": known.auth_token });
    app.admin().post("/twilio/connect", &token).await.expect(201);
    // Secrets in the wrong places, too: an unknown field, a truncated body, a refused account, a path, a query.
    app.admin()
        .post(
            "/twilio/connect",
            &json!({ "accountSid": known.auth_token, "authToken": [known.auth_token] }),
        )
        .await
        .expect(400);
    app.admin()
        .post("/sync/trigger", &json!({ "apiKeySecret": known.main_key_secret }))
        .await
        .expect(400);
    let suspended =
        json!({ "accountSid": known.suspended_account_sid, "authToken": known.suspended_auth_token });
    app.admin().post("/twilio/connect", &suspended).await.expect(400);
    app.run_due().await;
    app.simulator().revoke(&known.main_key_sid);
    app.admin()
        .post(
            "/sync/trigger",
            &json!({ "provider_config_key": "twilio", "syncs": ["twilio-messages"] }),
        )
        .await
        .expect(200);
    app.run_due().await;
    import_and_connect_from_a_front_end(&app).await;
    let reader = app
        .client_with(&[
            Scope::ConnectionsList,
            Scope::ConnectionsRead,
            Scope::SyncsRead,
            Scope::RecordsRead,
        ])
        .await;
    for path in [
        "/connections",
        "/connections/my-twilio?provider_config_key=twilio",
        "/sync/runs",
        "/twilio/messages?connectionId=by-token",
        "/openapi.json",
        "/",
    ] {
        reader.get(path).await.expect(200);
    }

    let secrets = [
        known.auth_token.as_str(),
        &known.main_key_secret,
        &known.suspended_auth_token,
        app.admin().key().unwrap(),
    ];
    let (responses, logs) = (app.responses(), app.logs());
    assert!(responses.contains("my-twilio"), "responses are collected");
    assert!(logs.contains("answered"), "lines are collected");
    let files = files(&app);
    for secret in secrets {
        assert!(!responses.contains(secret), "a response holds a secret");
        let line = logs.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "the log holds a secret: {line:?}");
        for (name, bytes) in &files {
            assert!(
                !bytes
                    .windows(secret.len())
                    .any(|window| window == secret.as_bytes()),
                "{name} holds a secret"
            );
        }
    }
}

/// The other routes that take credentials, each refused once: to a key without the scope, and to a session's token.
async fn import_and_connect_from_a_front_end(app: &TestApp) {
    let known = app.simulator().credentials();
    let maker = app
        .client_with(&[Scope::ConnectionsCreate, Scope::ConnectionsUpdate])
        .await;
    let good = json!({ "type": "BASIC", "username": known.account_sid, "password": known.auth_token });
    let bad = json!({ "type": "API_KEY", "apiKey": known.auth_token, "password": [known.auth_token] });
    for (credentials, status) in [(&good, 201), (&bad, 400)] {
        let body = json!({ "provider_config_key": "twilio", "connection_id": "imported", "credentials": credentials });
        maker.post("/connections", &body).await.expect(status);
    }
    let path = "/connections/imported?provider_config_key=twilio";
    maker
        .patch(path, &json!({ "credentials": good }))
        .await
        .expect(200);
    maker
        .patch(path, &json!({ "credentials": bad }))
        .await
        .expect(400);
    let token = session_token(app).await;
    for (body, status) in [
        (
            json!({ "username": known.account_sid, "password": known.auth_token }),
            200,
        ),
        (
            json!({ "username": known.auth_token, "password": known.auth_token }),
            400,
        ),
    ] {
        let path = format!("/api-auth/basic/twilio?connect_session_token={token}");
        app.anonymous().post(&path, &body).await.expect(status);
    }
    assert!(!app.logs().contains(&token), "the log holds a session's token");
    for (name, bytes) in files(app) {
        let found = bytes
            .windows(token.len())
            .any(|window| window == token.as_bytes());
        assert!(!found, "{name} holds a session's token");
    }
}

/// Returns SQLite's files. PostgreSQL's belong to the server.
fn files(app: &TestApp) -> Vec<(String, Vec<u8>)> {
    let Some(path) = app.database().url.sqlite_path() else {
        return Vec::new();
    };
    assert_eq!(app.store().dialect(), Dialect::Sqlite);
    let folder = std::fs::read_dir(path.parent().unwrap()).unwrap();
    let files: Vec<_> = folder
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read(path).unwrap()))
        .collect();
    assert!(
        files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > 100_000,
        "there is something to search"
    );
    files
}
