//! Changes of connections: labels, metadata, rotation of credentials, and the old names of routes.

use serde_json::{Value as Json, json};
use store::Dialect;
use testkit::{TestApp, on_both_databases};

const PATH: &str = "/connections/my-twilio?provider_config_key=twilio";

async fn shown(app: &TestApp, name: &str) -> Json {
    app.admin()
        .get(&format!("/connections/{name}?provider_config_key=twilio"))
        .await
        .expect(200)
        .json()
}

async fn patch(app: &TestApp, body: Json) {
    let reply = app.admin().patch(PATH, &body).await.expect(200);
    assert_eq!(reply.json(), json!({ "success": true }));
}

#[on_both_databases]
async fn a_patch_replaces_tags_sets_the_end_user_and_clears_the_webhook_address(app: TestApp) {
    app.connect_twilio().await;
    patch(
        &app,
        json!({
            "tags": { "Plan": "pro" },
            "end_user": { "id": "u1", "email": "ann@example.com" },
            "webhook_url_override": "https://app.example.com/hook",
        }),
    )
    .await;
    let reported = shown(&app, "my-twilio").await;
    assert_eq!(
        reported["tags"],
        json!({ "end_user_email": "ann@example.com", "end_user_id": "u1", "plan": "pro" })
    );
    assert_eq!(reported["webhook_url_override"], "https://app.example.com/hook");

    // A new user replaces only the tags of the old one.
    patch(&app, json!({ "end_user": { "id": "u2" } })).await;
    let reported = shown(&app, "my-twilio").await;
    assert_eq!(reported["tags"], json!({ "end_user_id": "u2", "plan": "pro" }));
    assert_eq!(reported["webhook_url_override"], "https://app.example.com/hook");

    patch(&app, json!({ "tags": {}, "webhook_url_override": "" })).await;
    let reported = shown(&app, "my-twilio").await;
    assert_eq!(
        (&reported["tags"], &reported["webhook_url_override"]),
        (&json!({}), &json!(null))
    );
    assert_eq!(reported["end_user"]["id"], "u2");
}

#[on_both_databases]
async fn metadata_is_set_and_merged_for_one_all_or_no_connection(app: TestApp) {
    for name in ["a", "b"] {
        app.connect_as(app.admin(), name).await;
    }
    let body = |names: Json, metadata: Json| json!({ "provider_config_key": "twilio", "connection_id": names, "metadata": metadata });
    let path = "/connections/metadata";

    let both = body(json!(["a", "b"]), json!({ "x": { "y": 1 }, "z": 1 }));
    let reply = app.admin().post(path, &both).await.expect(201);
    assert_eq!(reply.json(), both, "what was sent comes back");
    let merge = body(json!("a"), json!({ "x": { "w": 2 }, "n": null }));
    let reply = app.admin().patch(path, &merge).await.expect(200);
    assert_eq!(reply.json(), merge);
    assert_eq!(
        shown(&app, "a").await["metadata"],
        json!({ "x": { "w": 2 }, "z": 1, "n": null })
    );
    assert_eq!(
        shown(&app, "b").await["metadata"],
        json!({ "x": { "y": 1 }, "z": 1 })
    );

    for reply in [
        app.admin()
            .post(path, &body(json!(["a", "none"]), json!({ "lost": 1 })))
            .await,
        app.admin()
            .patch(path, &body(json!(["b", "none"]), json!({ "lost": 1 })))
            .await,
    ] {
        assert_eq!(reply.expect(404).code(), "unknown_connection");
    }
    for name in ["a", "b"] {
        assert_eq!(
            shown(&app, name).await["metadata"]["lost"],
            json!(null),
            "none was changed"
        );
    }
    app.admin()
        .post(path, &body(json!("a"), json!({})))
        .await
        .expect(201);
    assert_eq!(shown(&app, "a").await["metadata"], json!({}));
}

#[on_both_databases]
async fn refused_credentials_leave_the_old_ones_in_place(app: TestApp) {
    app.connect_twilio().await;
    let known = app.simulator().credentials();
    let before = shown(&app, "my-twilio").await;
    let wrong = json!({ "type": "BASIC", "username": known.account_sid, "password": "0123456789abcdef0123456789abcdef" });

    let body = json!({ "credentials": wrong, "tags": { "plan": "pro" }, "metadata": { "a": 1 } });
    let reply = app.admin().patch(PATH, &body).await.expect(400);

    assert_eq!(reply.code(), "connection_test_failed");
    let after = shown(&app, "my-twilio").await;
    for same in ["credentials", "tags", "metadata", "updated_at", "errors"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    app.run_due().await;
    assert!(app.rows("my-twilio").await > 200);
}

#[on_both_databases]
async fn rotation_keeps_rows_and_labels_and_the_account(app: TestApp) {
    let mut body = app.connect_body("my-twilio");
    body["tags"] = json!({ "plan": "pro" });
    app.admin().post("/twilio/connect", &body).await.expect(201);
    app.run_due().await;
    let rows = app.rows("my-twilio").await;
    let known = app.simulator().credentials();
    let token = json!({ "type": "BASIC", "username": known.account_sid, "password": known.auth_token });

    patch(&app, json!({ "credentials": token, "metadata": { "a": 1 } })).await;

    let reported = shown(&app, "my-twilio").await;
    assert_eq!(reported["credentials"], token);
    assert_eq!(
        (&reported["tags"], &reported["metadata"]),
        (&json!({ "plan": "pro" }), &json!({ "a": 1 }))
    );
    assert_eq!(app.rows("my-twilio").await, rows);
    // The sync uses the new credentials, so the old key can be revoked.
    app.simulator().revoke(&known.main_key_sid);
    app.run_due().await;
    let runs = app.admin().get("/sync/runs").await.expect(200).json();
    assert_eq!(runs["runs"][0]["status"], "succeeded", "{runs}");
    // Configuration alone is verified with the stored credentials, and may not name another account.
    let same = json!({ "connection_config": { "accountSid": known.account_sid } });
    patch(&app, same).await;
    let other = json!({ "connection_config": { "accountSid": known.subaccount_sid } });
    let reply = app.admin().patch(PATH, &other).await.expect(400);
    assert_eq!(reply.fields(), ["connection_config.accountSid"]);
}

#[on_both_databases]
async fn the_old_names_of_the_routes_still_work(app: TestApp) {
    let name = "team/42 x";
    app.connect_as(app.admin(), name).await;
    let admin = app.admin();

    let list = admin.get("/connection").await.expect(200).json();
    assert_eq!(list["connections"][0]["connection_id"], name);
    let path = "/connection/team/42%20x";
    let query = "provider_config_key=twilio";
    let body = json!({ "provider_config_key": "twilio", "connection_id": name, "metadata": { "a": 1 } });
    admin.post("/connection/metadata", &body).await.expect(201);
    let notes = json!({ "b": 2 });
    let echo = admin
        .patch(&format!("{path}/metadata?{query}"), &notes)
        .await
        .expect(200);
    assert_eq!(echo.json(), notes);
    let reported = admin.get(&format!("{path}?{query}")).await.expect(200).json();
    assert_eq!(reported["metadata"], json!({ "a": 1, "b": 2 }));
    admin
        .post(&format!("{path}/metadata?{query}"), &notes)
        .await
        .expect(201);
    let reported = admin.get(&format!("{path}?{query}")).await.expect(200).json();
    assert_eq!(reported["metadata"], notes);
    admin.patch("/connection/metadata", &body).await.expect(200);
    admin.delete(&format!("{path}?{query}")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_change_is_refused_with_the_reason() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    app.connect_twilio().await;
    let patch = async |path: &str, body: Json| app.admin().patch(path, &body).await;
    let cases = [
        (
            patch(PATH, json!({ "connection_id": "y" })).await,
            400,
            "invalid_body",
        ),
        (
            patch(PATH, json!({ "tags": { "1": "x" } })).await,
            400,
            "invalid_body",
        ),
        (
            patch(
                PATH,
                json!({ "credentials": { "type": "API_KEY", "apiKey": "x" } }),
            )
            .await,
            400,
            "invalid_body",
        ),
        (
            patch("/connections/my-twilio", json!({})).await,
            400,
            "invalid_query_params",
        ),
        (
            patch("/connections/none?provider_config_key=twilio", json!({})).await,
            404,
            "not_found",
        ),
        (
            patch("/connections/my-twilio?provider_config_key=none", json!({})).await,
            400,
            "unknown_provider_config",
        ),
        (
            patch("/connections/metadata", json!({ "metadata": {} })).await,
            400,
            "invalid_body",
        ),
        (
            patch(
                "/connections/metadata",
                json!({ "connection_id": 7, "provider_config_key": "twilio", "metadata": {} }),
            )
            .await,
            400,
            "invalid_body",
        ),
        (
            patch(
                "/connections/metadata?x=1",
                json!({ "connection_id": "my-twilio", "provider_config_key": "twilio", "metadata": {} }),
            )
            .await,
            400,
            "invalid_query_params",
        ),
        (
            patch(
                "/connections/metadata",
                json!({ "connection_id": "my-twilio", "provider_config_key": "none", "metadata": {} }),
            )
            .await,
            400,
            "unknown_provider_config",
        ),
    ];
    for (reply, status, code) in cases {
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (status, code),
            "{}",
            reply.text
        );
    }
}
