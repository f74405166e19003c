//! Every operation of the document is sent with its own examples, and its response must match the document.
//!
//! Values that only the server knows (ids of runs, tokens, cursors) replace their examples.

mod providers;
mod sender;

use sender::Sender;
use testkit::{Dialect, on_both_databases};

#[on_both_databases]
async fn every_operation_accepts_its_own_example(dialect: Dialect) {
    let Some(sender) = Sender::with_acme(dialect, "API_KEY", r#"x-key: "${apiKey}""#).await else {
        return;
    };
    let others = |path: &str| {
        let first = path.split('/').nth(1).unwrap_or_default();
        first != "acme" && sender.app.gateway().registry.get(first).is_some()
    };
    let (sent, wrong) = sender
        .walk(|id, path| id != "connect_with_basic" && !others(path))
        .await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(sent >= 70, "{sent}");
    let sender = Sender::with_acme(dialect, "BASIC", "x-plain: yes").await.unwrap();
    let (sent, wrong) = sender.walk(|id, _| id == "connect_with_basic").await;
    assert_eq!((sent, wrong), (1, Vec::<String>::new()));
}

/// Collects the names of types that derive `ToSchema`, with their file.
fn described(folder: &std::path::Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            described(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for part in text
            .split("ToSchema")
            .skip(1)
            .filter(|part| part.trim_start().starts_with([')', ',']))
        {
            let head = part
                .split(['{', ';'])
                .find(|head| head.contains("struct ") || head.contains("enum "));
            let name = head.and_then(|head| {
                head.split("struct ")
                    .nth(1)
                    .or_else(|| head.split("enum ").nth(1))
            });
            if let Some(name) = name {
                let name: String = name
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                found.push((name, path.display().to_string()));
            }
        }
    }
}

#[test]
fn no_two_types_share_a_schema_name() {
    let mut found = Vec::new();
    described(
        &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut found,
    );
    assert!(found.len() >= 60, "{}", found.len());
    found.sort();
    let twice: Vec<_> = found.windows(2).filter(|pair| pair[0].0 == pair[1].0).collect();
    assert!(
        twice.is_empty(),
        "the later one replaces the other in the document: {twice:#?}"
    );
}

#[test]
fn the_first_segment_of_every_fixed_route_is_reserved() {
    let document = serde_json::to_value(api::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap().keys();
    let firsts = paths
        .filter_map(|path| path.split('/').nth(1))
        .filter(|first| !first.is_empty());
    let open: Vec<&str> = firsts
        .filter(|first| !first.starts_with('{') && !registry::is_reserved(first))
        .collect();
    assert!(open.is_empty(), "add these to registry's list: {open:?}");
}

#[test]
fn every_fixed_segment_below_an_integration_is_reserved() {
    let document = serde_json::to_value(api::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap().keys();
    let below: Vec<&str> = paths
        .filter_map(|path| path.strip_prefix("/{integration}/")?.split('/').next())
        .filter(|segment| !segment.starts_with('{'))
        .collect();
    assert!(
        below.contains(&"connect") && below.contains(&"verify"),
        "{below:?}"
    );
    let open: Vec<&&str> = below
        .iter()
        .filter(|segment| !registry::is_reserved_below(segment))
        .collect();
    assert!(open.is_empty(), "add these to registry's list: {open:?}");
}
