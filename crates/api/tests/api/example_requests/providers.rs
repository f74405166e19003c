//! Operations that built-in provider files add to the document: connect forms, lists, and short routes of actions.

use reqwest::Method;
use serde_json::{Value as Json, json};
use testkit::{Dialect, on_both_databases};

use super::sender::{Sender, is_required, unlike};

#[on_both_databases]
async fn every_operation_of_a_built_in_provider_accepts_its_own_example(dialect: Dialect) {
    let Some(sender) = Sender::with_built_in(dialect).await else {
        return;
    };
    let (mut sent, mut wrong) = (0, Vec::new());
    for provider in sender.app.gateway().registry.iter() {
        let prefix = format!("/{}/", provider.name);
        wrong.extend(connect(&sender, &prefix, &mut sent).await);
        wrong.extend(others(&sender, &prefix, &mut sent).await);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(sent >= 180, "{sent}");
}

/// Connects a provider with a sample of each of its forms; the last connection stays.
async fn connect(sender: &Sender, prefix: &str, sent: &mut usize) -> Vec<String> {
    let path = format!("{prefix}connect");
    let operation = &sender.document["paths"][&path]["post"];
    let forms = operation
        .pointer("/requestBody/content/application~1json/schema/oneOf")
        .and_then(Json::as_array)
        .unwrap();
    let key = prefix.trim_matches('/');
    let mut wrong = Vec::new();
    for form in forms {
        let connection = format!("/connections/my-acme?provider_config_key={key}");
        sender.app.admin().delete(&connection).await;
        let body = sender.sample(form);
        assert_eq!(body["connectionId"], json!("my-acme"), "{key}");
        let reply = sender
            .send(&Method::POST, &path, operation, is_required, Some(body))
            .await;
        wrong.extend(unlike(operation, &reply));
        *sent += 1;
    }
    wrong
}

/// Sends every other operation of a provider: with its required parameters, and with all of them except the cursor and the name of a
/// variant, which come from the server.
async fn others(sender: &Sender, prefix: &str, sent: &mut usize) -> Vec<String> {
    let mut wrong = Vec::new();
    let paths = sender.document["paths"].as_object().unwrap();
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
            let body = sender.body(operation).await;
            let needed = sender.send(&verb, path, operation, is_required, body.clone());
            wrong.extend(unlike(operation, &needed.await));
            let all = sender.send(&verb, path, operation, takes, body);
            wrong.extend(unlike(operation, &all.await));
            *sent += 2;
        }
    }
    wrong
}
