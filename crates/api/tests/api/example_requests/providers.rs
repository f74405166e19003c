//! What the built-in provider files add to the document: forms to connect, lists, and short routes of actions.

use reqwest::Method;
use serde_json::{Value as Json, json};
use testkit::{Dialect, on_both_databases};

use super::stage::{Stage, is_required, unlike};

#[on_both_databases]
async fn every_operation_of_a_built_in_provider_accepts_its_own_example(dialect: Dialect) {
    let Some(stage) = Stage::of_built_in(dialect).await else {
        return;
    };
    let (mut sent, mut wrong) = (0, Vec::new());
    for provider in stage.app.gateway().registry().iter() {
        let prefix = format!("/{}/", provider.name);
        wrong.extend(connect(&stage, &prefix, &mut sent).await);
        wrong.extend(others(&stage, &prefix, &mut sent).await);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(sent >= 180, "{sent}");
}

/// Sends each form of a provider as a sample of its fields; the connection of the last one stays.
async fn connect(stage: &Stage, prefix: &str, sent: &mut usize) -> Vec<String> {
    let path = format!("{prefix}connect");
    let operation = &stage.document["paths"][&path]["post"];
    let forms = operation
        .pointer("/requestBody/content/application~1json/schema/oneOf")
        .and_then(Json::as_array)
        .unwrap();
    let key = prefix.trim_matches('/');
    let mut wrong = Vec::new();
    for form in forms {
        let connection = format!("/connections/my-acme?provider_config_key={key}");
        stage.app.admin().delete(&connection).await;
        let body = stage.sample(form);
        assert_eq!(body["connectionId"], json!("my-acme"), "{key}");
        let reply = stage
            .send(&Method::POST, &path, operation, is_required, Some(body))
            .await;
        wrong.extend(unlike(operation, &reply));
        *sent += 1;
    }
    wrong
}

/// Sends every other operation of a provider: with what it needs, and with all that it takes but the place in a list and the name of a
/// variant, which are the server's to tell.
async fn others(stage: &Stage, prefix: &str, sent: &mut usize) -> Vec<String> {
    let mut wrong = Vec::new();
    let paths = stage.document["paths"].as_object().unwrap();
    for (path, item) in paths.iter().filter(|(path, _)| path.starts_with(prefix)) {
        for (verb, operation) in item.as_object().unwrap() {
            if path.ends_with("/connect") && verb == "post" {
                continue;
            }
            let verb: Method = verb.to_ascii_uppercase().parse().unwrap();
            let takes = |parameter: &Json| {
                !["cursor", "variant"]
                    .iter()
                    .any(|name| parameter["name"] == json!(name))
            };
            let body = stage.body(operation).await;
            let needed = stage.send(&verb, path, operation, is_required, body.clone());
            wrong.extend(unlike(operation, &needed.await));
            let all = stage.send(&verb, path, operation, takes, body);
            wrong.extend(unlike(operation, &all.await));
            *sent += 2;
        }
    }
    wrong
}
