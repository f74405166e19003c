//! Providers, integrations and their functions, in Nango's shapes.

use serde_json::{Value as Json, json};
use testkit::{TestApp, on_both_databases};

fn all<'a>(list: &'a Json, field: &str) -> Vec<&'a str> {
    let list = list["data"].as_array().unwrap().iter();
    list.map(|one| one[field].as_str().unwrap()).collect()
}

#[on_both_databases]
async fn providers_are_listed_searched_and_shown(app: TestApp) {
    let list = app.admin().get("/providers").await.expect(200).json();
    assert!(all(&list, "name").contains(&"sendgrid"));
    let found = app
        .admin()
        .get("/providers?search=%5ETWIL")
        .await
        .expect(200)
        .json();
    assert_eq!(all(&found, "name"), ["twilio"]);
    for bad in ["%28", "%28a%7B1000%7D%29%7B1000%7D"] {
        let refused = app
            .admin()
            .get(&format!("/providers?search={bad}"))
            .await
            .expect(400);
        assert_eq!(refused.code(), "invalid_query_params");
    }

    let shown = app.admin().get("/providers/twilio").await.expect(200).json();
    let shown = &shown["data"];
    assert_eq!(
        (&shown["name"], &shown["display_name"], &shown["auth_mode"]),
        (&json!("twilio"), &json!("Twilio"), &json!("BASIC"))
    );
    assert!(
        shown["proxy"]["base_url"].is_string() && shown["syncs"].is_object(),
        "{shown}"
    );
    assert!(
        shown["logo_url"]
            .as_str()
            .unwrap()
            .ends_with("/images/template-logos/twilio.svg")
    );
    assert_eq!(
        app.admin().get("/providers/nobody").await.expect(404).code(),
        "not_found"
    );

    let templates = app
        .admin()
        .get("/providers/twilio/templates")
        .await
        .expect(200)
        .json();
    let messages = &templates["data"][0];
    assert_eq!(
        (&messages["type"], &messages["name"], &messages["returns"]),
        (&json!("sync"), &json!("twilio-messages"), &json!(["Message"]))
    );
    let schema = &messages["json_schema"]["definitions"]["Message"];
    assert_eq!(schema["properties"]["sid"]["type"], "string", "{schema}");
    app.admin().get("/providers/nobody/templates").await.expect(404);
}

#[on_both_databases]
async fn a_provider_has_a_logo(app: TestApp) {
    let picture = app
        .anonymous()
        .get("/images/template-logos/twilio.svg")
        .await
        .expect(200);
    assert!(
        picture.text.starts_with("<svg ") && picture.text.contains(">T</text>"),
        "{}",
        picture.text
    );
    app.anonymous()
        .get("/images/template-logos/nobody.svg")
        .await
        .expect(404);
}

#[on_both_databases]
async fn a_provider_can_have_several_integrations(app: TestApp) {
    for (key, name) in [("twilio eu", Some("Twilio (Europe)")), ("twilio-us", None)] {
        let mut body = json!({ "provider": "twilio", "unique_key": key, "custom": { "team": "a" } });
        if let Some(name) = name {
            body["display_name"] = json!(name);
        }
        app.admin().post("/integrations", &body).await.expect(200);
        let connect = format!("/{}/connect", key.replace(' ', "%20"));
        app.admin()
            .post(&connect, &app.connect_body("my-twilio"))
            .await
            .expect(201);
    }

    let list = app.admin().get("/integrations").await.expect(200).json();
    assert_eq!(all(&list, "unique_key"), ["twilio eu", "twilio-us"]);
    assert_eq!(all(&list, "display_name"), ["Twilio (Europe)", "Twilio"]);
    let shown = app
        .admin()
        .get("/integrations/twilio%20eu")
        .await
        .expect(200)
        .json();
    let mut shown = shown["data"].clone();
    assert!(shown["created_at"].take().as_str().unwrap().ends_with('Z'));
    assert!(shown["updated_at"].take().is_string() && shown["logo"].take().is_string());
    let wanted = json!({
        "unique_key": "twilio eu", "provider": "twilio", "display_name": "Twilio (Europe)", "logo": null, "forward_webhooks": true,
        "integration_config": {}, "custom": { "team": "a" }, "created_at": null, "updated_at": null,
        "preconfigured_credentials": [], "preconfigured_connection_config": [],
    });
    assert_eq!(shown, wanted);
    // The route's old name.
    let short = app.admin().get("/config/twilio-us?include_creds=true").await;
    let wanted = json!({ "unique_key": "twilio-us", "provider": "twilio", "syncs": [], "actions": [] });
    assert_eq!(short.expect(200).json(), json!({ "config": wanted }));
    let more = "/integrations/twilio-us?include=webhook&include=credentials";
    let shown = app.admin().get(more).await.expect(200).json();
    assert_eq!(shown["data"].get("credentials"), Some(&Json::Null));
    let address = shown["data"]["webhook_url"].as_str().unwrap();
    assert!(
        address.starts_with("http://127.0.0.1:") && address.ends_with("/webhook/dev/twilio-us"),
        "{address}"
    );
    app.admin()
        .get("/integrations/twilio-us?include=everything")
        .await
        .expect(400);
    app.admin().get("/integrations?search=a").await.expect(400);

    let connections = app.admin().get("/connections").await.expect(200).json();
    let keys: Vec<&Json> = connections["connections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["provider_config_key"])
        .collect();
    assert_eq!(keys, ["twilio-us", "twilio eu"]);
}

#[on_both_databases]
async fn an_unused_integration_can_be_changed_and_renamed(app: TestApp) {
    let make = |key: &str| json!({ "provider": "twilio", "unique_key": key });
    app.admin()
        .post("/integrations", &make("first"))
        .await
        .expect(200);
    app.admin()
        .post("/integrations", &make("second"))
        .await
        .expect(200);

    let change = json!({ "unique_key": "third", "forward_webhooks": false, "display_name": "Third" });
    let changed = app
        .admin()
        .patch("/integrations/first", &change)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            &changed["data"]["unique_key"],
            &changed["data"]["forward_webhooks"]
        ),
        (&json!("third"), &json!(false))
    );
    assert_eq!(
        app.admin().get("/integrations/first").await.expect(404).code(),
        "not_found"
    );
    app.admin()
        .patch("/integrations/first", &json!({}))
        .await
        .expect(404);

    let taken = app
        .admin()
        .patch("/integrations/third", &json!({ "unique_key": "second" }))
        .await
        .expect(400)
        .json();
    assert!(
        taken["error"]["errors"][0]["message"]
            .as_str()
            .unwrap()
            .starts_with("Unique key already exists")
    );

    app.admin()
        .post("/third/connect", &app.connect_body("mine"))
        .await
        .expect(201);
    let used = app
        .admin()
        .patch("/integrations/third", &json!({ "unique_key": "fourth" }))
        .await
        .expect(400)
        .json();
    assert_eq!(used["error"]["errors"][0]["path"], json!(["unique_key"]));
    app.admin()
        .patch("/integrations/third", &json!({ "unique_key": "third" }))
        .await
        .expect(200);
}

#[on_both_databases]
async fn an_invalid_integration_is_refused_with_the_field(app: TestApp) {
    let good = json!({ "provider": "twilio", "unique_key": "good" });
    app.admin().post("/integrations", &good).await.expect(200);
    let cases = [
        (
            json!({ "provider": "nobody", "unique_key": "a" }),
            json!(["provider"]),
        ),
        (
            json!({ "provider": "twilio", "unique_key": "good" }),
            json!(["uniqueKey"]),
        ),
        (
            json!({ "provider": "twilio", "unique_key": "a/b" }),
            json!(["unique_key"]),
        ),
        (json!({ "provider": "twilio" }), json!(["unique_key"])),
        (json!({ "unique_key": "a" }), json!(["provider"])),
        (
            json!({ "provider": "twilio", "unique_key": "a", "credentials": { "type": "OAUTH2" } }),
            json!(["credentials"]),
        ),
        (
            json!({ "provider": "twilio", "unique_key": "a", "integration_config": { "k": "x".repeat(8_193) } }),
            json!(["integration_config", "k"]),
        ),
    ];
    for (body, path) in cases {
        let refused = app.admin().post("/integrations", &body).await.expect(400).json();
        assert_eq!(refused["error"]["code"], "invalid_body");
        assert_eq!(refused["error"]["errors"][0]["path"], path);
    }
    let refused = app
        .admin()
        .post("/integrations/quickstart", &json!({ "provider": "twilio" }))
        .await;
    assert_eq!(refused.expect(400).code(), "invalid_body");
}

#[on_both_databases]
async fn deleting_an_integration_deletes_its_connections(app: TestApp) {
    app.connect_twilio().await;
    app.run_due().await;

    app.admin().delete("/integrations/twilio").await.expect(200);

    let left = app.admin().get("/connections").await.expect(200).json();
    assert_eq!(left["connections"], json!([]));
    let rows = app.admin().get("/twilio/messages?connectionId=my-twilio").await;
    assert_eq!(rows.expect(404).code(), "unknown_connection");
    assert_eq!(
        app.admin()
            .delete("/integrations/twilio")
            .await
            .expect(404)
            .code(),
        "not_found"
    );
}

#[on_both_databases]
async fn a_provider_connected_under_its_own_name_is_listed(app: TestApp) {
    assert_eq!(
        app.admin().get("/integrations").await.expect(200).json()["data"],
        json!([])
    );
    app.connect_twilio().await;
    let list = app.admin().get("/integrations").await.expect(200).json();
    assert_eq!(all(&list, "unique_key"), ["twilio"]);
}

#[on_both_databases]
async fn functions_are_listed_in_pages_and_shown_with_their_declaration(app: TestApp) {
    app.connect_twilio().await;
    let of = |query: &str| format!("/integrations/twilio/functions{query}");

    let list = app
        .admin()
        .get(&of("?type=sync&search=MESSAGES"))
        .await
        .expect(200)
        .json();
    assert_eq!(all(&list, "name"), ["twilio-messages"]);
    assert_eq!(list["pagination"], json!({ "total": 1, "page": 0, "limit": 20 }));
    let first = &list["data"][0];
    assert_eq!(
        (
            &first["runs"],
            &first["auto_start"],
            &first["enabled"],
            &first["id"]
        ),
        (
            &json!("every 5 minutes"),
            &json!(true),
            &json!(true),
            &json!("twilio/twilio-messages")
        )
    );
    let beyond = app
        .admin()
        .get(&of("?type=sync&page=1&limit=100"))
        .await
        .expect(200)
        .json();
    assert_eq!(beyond["data"], json!([]));
    assert_eq!(
        app.admin().get(&of("?type=on-event")).await.expect(200).json()["data"],
        json!([])
    );
    for bad in ["?type=cron", "?limit=0", "?limit=101", "?page=-1"] {
        app.admin().get(&of(bad)).await.expect(400);
    }
    app.admin()
        .get("/integrations/nobody/functions")
        .await
        .expect(404);

    let one = app.admin().get(&of("/twilio-messages")).await.expect(200).json();
    assert_eq!(one["data"], *first);
    let missing = app.admin().get(&of("/twilio-nothing")).await.expect(404);
    assert!(missing.text.contains("twilio-messages"), "{}", missing.text);
    let code = app
        .admin()
        .get(&of("/twilio-messages/code?type=sync"))
        .await
        .expect(200)
        .json();
    let declared: Json = serde_json::from_str(code["code"].as_str().unwrap()).unwrap();
    assert!(
        declared["model"].is_object() || declared["model"].is_string(),
        "{declared}"
    );
}

#[on_both_databases]
async fn the_overview_names_the_functions_of_each_integration(app: TestApp) {
    app.connect_twilio().await;
    let overview = app
        .admin()
        .get("/scripts/config?format=nango")
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            &overview[0]["providerConfigKey"],
            &overview[0]["syncs"][0]["name"]
        ),
        (&json!("twilio"), &json!("twilio-messages"))
    );
    let actions = overview[0]["actions"].as_array().unwrap();
    assert_eq!(actions[0]["name"], "send-message");
    assert!(overview[0]["on-events"].is_array());
    let tools = app
        .admin()
        .get("/scripts/config?format=openai")
        .await
        .expect(200)
        .json();
    let send = &tools["data"][0];
    assert_eq!(
        (&send["name"], &send["parameters"]["required"]),
        (&json!("send-message"), &json!(["to"]))
    );
    app.admin().get("/scripts/config?format=xml").await.expect(400);
    assert_eq!(
        app.admin().get("/environment-variables").await.expect(200).json(),
        json!([])
    );
}
