//! No secret leaves: neither in an answer nor in the log nor in the database's files.

use serde_json::json;
use store::Dialect;
use testkit::{TestApp, on_both_databases};

on_both_databases!(no_answer_no_log_and_no_file_holds_a_secret);

async fn no_answer_no_log_and_no_file_holds_a_secret(app: TestApp) {
    let known = app.simulator().credentials();
    app.connect_twilio().await;
    let token =
        json!({ "connectionId": "by-token", "accountSid": known.account_sid, "authToken": known.auth_token });
    app.admin().post("/twilio/connect", &token).await.expect(201);
    // Secrets in the wrong places, too: a field that is not known, a body cut short, a refused account, a path, a query.
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
    for path in [
        "/connections",
        "/connections/my-twilio?provider_config_key=twilio",
        "/sync/runs",
        "/twilio/messages?connectionId=by-token",
        "/openapi.json",
        "/",
    ] {
        app.admin().get(path).await.expect(200);
    }

    let secrets = [
        known.auth_token.as_str(),
        &known.main_key_secret,
        &known.suspended_auth_token,
        app.admin().key().unwrap(),
    ];
    let (answers, logs) = (app.answers(), app.logs());
    assert!(answers.contains("my-twilio"), "answers are collected");
    assert!(logs.contains("answered"), "lines are collected");
    let files = files(&app);
    for secret in secrets {
        assert!(!answers.contains(secret), "an answer holds a secret");
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

/// SQLite's file with its log beside it; PostgreSQL's files are the server's.
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
