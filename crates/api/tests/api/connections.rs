//! Connections in Nango's shapes: listing, showing and deleting them.

use domain::Problem;
use gateway::Scope;
use serde_json::{Value as Json, json};
use store::Dialect;
use store::connections::set_problem;
use testkit::{TestApp, on_both_databases};

async fn names(app: &TestApp, query: &str) -> Vec<String> {
    let list = app
        .admin()
        .get(&format!("/connections?{query}"))
        .await
        .expect(200)
        .json();
    list["connections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["connection_id"].as_str().unwrap().to_owned())
        .collect()
}

#[on_both_databases]
async fn a_list_shows_each_connection_without_its_credentials(app: TestApp) {
    app.connect_twilio().await;

    let mut list = app.admin().get("/connections").await.expect(200).json();

    let shown = &mut list["connections"][0];
    assert!(shown["id"].take().is_i64());
    assert!(shown["created"].take().as_str().unwrap().ends_with('Z'));
    let wanted = json!({
        "id": null, "connection_id": "my-twilio", "provider_config_key": "twilio", "provider": "twilio", "errors": [],
        "end_user": null, "tags": {}, "metadata": null, "created": null,
    });
    assert_eq!(*shown, wanted);
}

#[on_both_databases]
async fn a_list_is_filtered_by_name_search_integration_and_tags(app: TestApp) {
    for (name, plan) in [("alpha", "pro"), ("beta", "free"), ("50%", "free")] {
        let mut body = app.connect_body(name);
        if name != "50%" {
            body["tags"] = json!({ "plan": plan });
            app.admin().post("/twilio/connect", &body).await.expect(201);
        }
    }

    assert_eq!(names(&app, "").await, ["beta", "alpha"]);
    assert_eq!(names(&app, "connectionId=alpha").await, ["alpha"]);
    assert_eq!(names(&app, "search=LPH").await, ["alpha"]);
    assert_eq!(
        names(&app, "search=%25").await,
        [""; 0],
        "a wildcard of SQL is plain text"
    );
    assert_eq!(names(&app, "tags[PLAN]=free").await, ["beta"]);
    assert_eq!(names(&app, "tags%5Bplan%5D=free&tags[other]=1").await, [""; 0]);
    assert_eq!(names(&app, "integrationId=twilio,other").await, ["beta", "alpha"]);
    assert_eq!(names(&app, "integrationId=other").await, [""; 0]);
    assert_eq!(names(&app, "endUserId=u1").await, [""; 0]);
    assert_eq!(names(&app, "endUserOrganizationId=o1").await, [""; 0]);
    assert_eq!(names(&app, "limit=1").await, ["beta"]);
    assert_eq!(names(&app, "limit=1&page=1").await, ["alpha"]);
}

#[on_both_databases]
async fn a_list_is_filtered_by_end_user_and_organization(app: TestApp) {
    for (name, user, organization) in [("alpha", "u1", "o1"), ("beta", "u2", "o1"), ("gamma", "u3", "o2")] {
        let mut body = app.connect_body(name);
        body["end_user"] =
            json!({ "id": user, "email": format!("{user}@example.com"), "display_name": "Ann Example" });
        body["organization"] = json!({ "id": organization });
        app.admin().post("/twilio/connect", &body).await.expect(201);
    }

    assert_eq!(names(&app, "endUserId=u2").await, ["beta"]);
    assert_eq!(names(&app, "endUserOrganizationId=o1").await, ["beta", "alpha"]);
    // The filter applies before the limit.
    assert_eq!(
        names(&app, "endUserOrganizationId=o1&limit=1&page=1").await,
        ["alpha"]
    );
    assert_eq!(
        names(&app, "endUserOrganizationId=o1&endUserId=u3").await,
        [""; 0]
    );
    assert_eq!(
        names(&app, "tags[end_user_email]=u3@example.com").await,
        ["gamma"]
    );
    assert_eq!(names(&app, "tags[organization_id]=o2").await, ["gamma"]);
    assert_eq!(names(&app, "search=U3@EXAMPLE").await, ["gamma"]);
    assert_eq!(names(&app, "search=ann&limit=2").await, ["gamma", "beta"]);
    let list = app
        .admin()
        .get("/connections?connectionId=alpha")
        .await
        .expect(200)
        .json();
    assert_eq!(
        list["connections"][0]["end_user"],
        json!({
            "id": "u1", "display_name": "Ann Example", "email": "u1@example.com", "tags": {},
            "organization": { "id": "o1", "display_name": null },
        })
    );
}

#[on_both_databases]
async fn a_connection_shows_nangos_fields_and_no_secret_without_the_scope(app: TestApp) {
    app.connect_twilio().await;
    let reader = app.client_with(&[Scope::ConnectionsRead]).await;
    let sdk = "provider_config_key=twilio&force_refresh=false&refresh_token=false&refresh_github_app_jwt_token=false";

    let shown = reader
        .get(&format!("/connections/my-twilio?{sdk}"))
        .await
        .expect(200)
        .json();

    let names: Vec<&str> = shown.as_object().unwrap().keys().map(String::as_str).collect();
    let wanted = [
        "id",
        "connection_id",
        "provider_config_key",
        "provider",
        "errors",
        "end_user",
        "tags",
        "metadata",
        "connection_config",
        "webhook_url_override",
        "created_at",
        "updated_at",
        "last_fetched_at",
        "credentials",
    ];
    assert_eq!(names, wanted);
    assert_eq!(shown["credentials"], json!({}));
    assert_eq!(
        shown["connection_config"],
        json!({ "accountSid": app.simulator().credentials().account_sid })
    );
    assert!(
        shown["created_at"].as_str().unwrap().ends_with("+00:00"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_slashes_and_spaces_is_found_encoded_or_not() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    let name = "team/42 @home";
    app.connect_as(app.admin(), name).await;

    for path in ["team/42%20@home", "team%2F42%20%40home"] {
        let shown = app
            .admin()
            .get(&format!("/connections/{path}?provider_config_key=twilio"))
            .await
            .expect(200)
            .json();
        assert_eq!(shown["connection_id"], name);
    }
    app.admin()
        .delete("/connections/team/42%20@home?provider_config_key=twilio")
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_connection_has_nangos_error_response() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    app.connect_twilio().await;
    let get = async |path: &str| app.admin().get(path).await;
    let delete = async |path: &str| app.admin().delete(path).await;
    let cases = [
        (
            get("/connections/none?provider_config_key=twilio").await,
            404,
            "not_found",
        ),
        (
            get("/connections/my-twilio?provider_config_key=none").await,
            400,
            "unknown_provider_config",
        ),
        (get("/connections/my-twilio").await, 400, "invalid_query_params"),
        (
            get("/connections/my-twilio?provider_config_key=twilio&x=1").await,
            400,
            "invalid_query_params",
        ),
        (
            delete("/connections/none?provider_config_key=twilio").await,
            400,
            "unknown_connection",
        ),
        (
            delete("/connections/my-twilio?provider_config_key=none").await,
            400,
            "unknown_provider_config",
        ),
        (
            delete("/connections/my-twilio").await,
            400,
            "invalid_query_params",
        ),
        (get("/connections?limit=0").await, 400, "invalid_query_params"),
        (get("/connections?limit=2001").await, 400, "invalid_query_params"),
        (get("/connections?page=-1").await, 400, "invalid_query_params"),
        (
            get("/connections?search=a&search=b").await,
            400,
            "invalid_query_params",
        ),
        (get("/connections?search=%00").await, 400, "invalid_query_params"),
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

#[on_both_databases]
async fn deleting_a_connection_deletes_its_credentials_syncs_and_rows(app: TestApp) {
    let name = app.connect_twilio().await;
    let other = app.connect_as(app.admin(), "other").await;
    app.run_due().await;
    let rows = app.rows(&other).await;

    let reply = app
        .admin()
        .delete(&format!("/connections/{name}?provider_config_key=twilio"))
        .await
        .expect(200);

    assert_eq!(reply.json(), json!({ "success": true }));
    let (provider, sync) = ("twilio".parse().unwrap(), "twilio-messages".parse().unwrap());
    let table = app
        .gateway()
        .table(&provider, &sync, &domain::Variant::base())
        .await;
    let table = table.unwrap().unwrap();
    let connection = store_number(&app, &other).await;
    let counted = app
        .store()
        .read(move |c| store::records::count_live(c, &table.sql, connection))
        .await
        .unwrap();
    assert_eq!(
        usize::try_from(counted).unwrap(),
        rows,
        "the other connection keeps its rows"
    );
    let runs = app.admin().get("/sync/runs").await.expect(200).json();
    assert!(
        runs["runs"]
            .as_array()
            .unwrap()
            .iter()
            .all(|run| run["connection_id"] == "other"),
        "{runs}"
    );
    // A new connection with the same name begins empty.
    app.connect_twilio().await;
    assert_eq!(app.rows(&name).await, 0);
    assert_eq!(app.rows(&other).await, rows);
}

async fn store_number(app: &TestApp, name: &str) -> domain::ConnectionId {
    let shown = app
        .admin()
        .get(&format!("/connections/{name}?provider_config_key=twilio"))
        .await
        .expect(200)
        .json();
    domain::ConnectionId::from_raw(shown["id"].as_i64().unwrap())
}

#[on_both_databases]
async fn a_problem_of_the_credentials_shows_among_the_errors(app: TestApp) {
    let name = app.connect_twilio().await;
    let (id, at) = (store_number(&app, &name).await, app.clock().now());
    let problem = Problem {
        kind: "auth".to_owned(),
        code: Some("20003".to_owned()),
        message: "revoked".to_owned(),
        at,
    };
    app.store()
        .write(move |c| set_problem(c, id, Some(&problem)))
        .await
        .unwrap();

    let list = app.admin().get("/connections").await.expect(200).json();

    let error: &Json = &list["connections"][0]["errors"][0];
    assert_eq!(
        (&error["type"], &error["code"], &error["message"]),
        (&json!("auth"), &json!("20003"), &json!("revoked"))
    );
    assert!(error["log_id"].is_string() && error["at"].is_string(), "{error}");
}
