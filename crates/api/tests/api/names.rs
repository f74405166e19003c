//! One rule for every name: no invisible character at its ends, and nothing is trimmed.

use domain::{ConnectionName, IntegrationKey};
use gateway::Scope;
use serde_json::{Value as Json, json};
use store::connections;
use testkit::{TestApp, on_both_databases};

/// A request body that contains a name.
type WithName<'a> = Box<dyn Fn(&str) -> Json + 'a>;

const EDGES: [&str; 8] = [
    " ", "\t", "\n", "\u{a0}", "\u{3000}", "\u{200b}", "\u{feff}", "\u{0}",
];

#[on_both_databases]
async fn a_new_name_with_invisible_characters_at_its_ends_is_refused_everywhere(app: TestApp) {
    app.connect_twilio().await;
    let known = app.simulator().credentials();
    let connect = |name: &str| app.connect_body(name);
    let import = |name: &str| {
        json!({ "connection_id": name, "provider_config_key": "twilio",
            "credentials": { "type": "BASIC", "username": known.main_key_sid, "password": known.main_key_secret },
            "connection_config": { "accountSid": known.account_sid } })
    };
    let with = |field: &str, value: Json| {
        let mut body = connect("fine");
        body[field] = value;
        body
    };
    let cases: Vec<(&str, WithName<'_>, &str)> = vec![
        ("/twilio/connect", Box::new(connect), "connectionId"),
        ("/connections", Box::new(import), "connection_id"),
        (
            "/twilio/connect",
            Box::new(|name| with("end_user", json!({ "id": name }))),
            "end_user.id",
        ),
        (
            "/twilio/connect",
            Box::new(|name| with("end_user", json!({ "id": "u", "organization": { "id": name } }))),
            "end_user.organization.id",
        ),
        (
            "/twilio/connect",
            Box::new(|name| with("tags", json!({ "plan": name }))),
            "tags.plan",
        ),
        (
            "/connect/sessions",
            Box::new(|name| json!({ "end_user": { "id": name } })),
            "end_user.id",
        ),
        (
            "/integrations",
            Box::new(|name| json!({ "provider": "twilio", "unique_key": name })),
            "unique_key",
        ),
        ("/environments", Box::new(|name| json!({ "name": name })), "name"),
        (
            "/environments/dev/api-keys",
            Box::new(|name| json!({ "name": name, "scopes": ["environment:*"] })),
            "name",
        ),
    ];
    for (path, body, field) in &cases {
        for edge in EDGES {
            for name in [format!("{edge}bob"), format!("bob{edge}"), edge.to_owned()] {
                let refused = app.admin().post(path, &body(&name)).await.expect(400);
                assert!(
                    refused.fields().contains(&(*field).to_owned()),
                    "{path} {name:?}: {:?}",
                    refused.fields()
                );
            }
        }
    }
    let patch = json!({ "end_user": { "id": " u" } });
    let path = "/connections/my-twilio?provider_config_key=twilio";
    let refused = app.admin().patch(path, &patch).await.expect(400);
    assert_eq!(refused.fields(), ["end_user.id"]);
}

#[on_both_databases]
async fn a_connection_with_an_old_style_name_is_found_and_deleted_by_exactly_that_name(app: TestApp) {
    app.connect_as(app.admin(), "bob").await;
    let old: ConnectionName = " bob ".parse().unwrap();
    let (name, now) = (old.clone(), app.clock().now());
    let (key, provider): (IntegrationKey, _) = ("twilio".parse().unwrap(), "twilio".parse().unwrap());
    // The form in which an older version stored it.
    app.store()
        .write(move |c| {
            let dev = store::environments::list(c)?.remove(0);
            let new = connections::NewConnection {
                environment: dev.id,
                integration: key,
                name,
                provider,
                connection_config: serde_json::Map::new(),
                change: connections::ConnectionChange::default(),
            };
            connections::insert(c, &new, now)
        })
        .await
        .unwrap();

    let reader = app.client_with(&[Scope::ConnectionsRead]).await;
    let path = "/connections/%20bob%20?provider_config_key=twilio";
    let shown = reader.get(path).await.expect(200).json();

    assert_eq!(shown["connection_id"], " bob ");
    app.admin().delete(path).await.expect(200);
    reader.get(path).await.expect(404);
    reader
        .get("/connections/bob?provider_config_key=twilio")
        .await
        .expect(200);
}
