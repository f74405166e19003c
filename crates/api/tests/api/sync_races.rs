//! Requests about a sync that is deleted while they are in progress.

use std::sync::mpsc;

use reqwest::Method;
use serde_json::{Value as Json, json};
use store::{lease, syncs};
use testkit::{Reply, TestApp, on_both_databases};

use crate::syncs::select;

/// Sends requests while the sync is locked: once they are answered, the waiting request has found the sync.
const MEANWHILE: usize = 20;

/// Sends a request and deletes the connection's sync between the request's read and its write.
async fn overtaken(app: &TestApp, method: Method, path: &str, body: &Json) -> Reply {
    let sync = app
        .store()
        .read(|c| {
            syncs::list(
                c,
                domain::EnvironmentId::from_raw(1),
                &domain::SyncFilter::default(),
            )
        })
        .await
        .unwrap()
        .remove(0);
    let (locked, is_locked) = tokio::sync::oneshot::channel();
    let (go, gone) = mpsc::channel();
    let deleting = app.store().write(move |c| {
        lease::lock(c, sync.id)?;
        locked.send(()).unwrap();
        gone.recv().unwrap();
        syncs::delete(c, sync.id)
    });
    let sending = async {
        is_locked.await.unwrap();
        let client = app.admin();
        let request = client
            .request(method, path)
            .header("Content-Type", "application/json")
            .body(body.to_string());
        let others = async {
            for _ in 0..MEANWHILE {
                client.get("/sync/runs").await.expect(200);
            }
            go.send(()).unwrap();
        };
        tokio::join!(client.send(request), others).0
    };
    let (deleted, reply) = tokio::join!(deleting, sending);
    deleted.unwrap();
    reply
}

#[on_both_databases]
async fn a_sync_that_is_deleted_before_the_request_writes_is_not_found(app: TestApp) {
    let frequency = json!({
        "provider_config_key": "twilio", "connection_id": "my-twilio", "sync_name": "twilio-messages", "frequency": "1h",
    });
    let mut reset = select();
    reset["opts"] = json!({ "reset": true });
    for (method, path, body) in [
        (Method::PUT, "/sync/update-connection-frequency", frequency),
        (Method::POST, "/sync/pause", select()),
        (Method::POST, "/sync/trigger", select()),
        (Method::POST, "/sync/trigger", reset),
    ] {
        app.connect_twilio().await;

        let refused = overtaken(&app, method, path, &body).await.expect(400);

        assert_eq!(refused.code(), "unknown_sync", "{path}: {}", refused.text);
    }
}

#[on_both_databases]
async fn a_request_for_all_syncs_skips_a_deleted_one(app: TestApp) {
    let all_connections = json!({ "provider_config_key": "twilio", "syncs": ["twilio-messages"] });
    for path in ["/sync/pause", "/sync/trigger"] {
        app.connect_twilio().await;

        overtaken(&app, Method::POST, path, &all_connections)
            .await
            .expect(200);
    }
}
