//! Methods: each path names those it accepts, and no other reaches a route.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use store::Dialect;
use testkit::{Reply, TestApp};

fn allowed(reply: &Reply) -> BTreeSet<String> {
    let header = reply.header("allow").unwrap_or_default();
    header.split(", ").map(str::to_owned).collect()
}

/// Returns a path of the document with names in place of its parameters.
fn filled(path: &str) -> String {
    let mut parts = path.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |done, part| {
        let (name, rest) = part.split_once('}').unwrap();
        let name = if name == "integration" { "twilio" } else { "some" };
        format!("{done}{name}{rest}")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_path_refuses_other_methods_and_names_the_allowed_ones() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    let document = app.anonymous().get("/openapi.json").await.expect(200).json();
    // Two paths of the document may match one URL: the route of a provider and that of all providers.
    let mut paths: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let declared = item.as_object().unwrap().keys();
        let declared = declared.map(|method| method.to_ascii_uppercase());
        paths.entry(filled(path)).or_default().extend(declared);
    }
    for (path, mut declared) in paths {
        if path.starts_with("/proxy/") {
            continue;
        }
        if declared.contains("GET") {
            declared.insert("HEAD".to_owned());
        }
        declared.insert("OPTIONS".to_owned());
        let options = app.anonymous().request(Method::OPTIONS, &path);
        let reported = app.anonymous().send(options).await.expect(204);
        assert_eq!(allowed(&reported), declared, "{path}");

        for method in [
            "GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "HEAD", "PROPFIND",
        ] {
            if declared.contains(method) {
                continue;
            }
            let request = app.admin().request(method.parse().unwrap(), &path);
            let refused = app.admin().send(request).await.expect(405);
            assert_eq!(allowed(&refused), declared, "{method} {path}");
            if method != "HEAD" {
                assert_eq!(refused.code(), "method_not_allowed", "{method} {path}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_of_providers_work_for_an_integration_of_any_name() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    for (path, wanted) in [
        ("/mine/connect", vec!["OPTIONS", "POST"]),
        ("/mine/messages", vec!["GET", "HEAD", "OPTIONS", "POST"]),
        ("/mine/calls/CA1/hang-up", vec!["OPTIONS", "POST"]),
        ("/twilio/calls/CA1/hang-up", vec!["OPTIONS", "POST"]),
    ] {
        let options = app.anonymous().request(Method::OPTIONS, path);
        let reported = app.anonymous().send(options).await.expect(204);
        assert!(
            wanted.iter().all(|method| allowed(&reported).contains(*method)),
            "{path}: {:?}",
            allowed(&reported)
        );
    }
    let nowhere = app.admin().request(Method::POST, "/mine/calls/CA1/no-such-thing");
    assert_eq!(app.admin().send(nowhere).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_responds_like_get_without_a_body() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    app.connect_twilio().await;
    app.run_due().await;
    let csv = "text/csv";
    for (path, accept) in [
        ("/health", "*/*"),
        ("/docs", "*/*"),
        ("/connections", "*/*"),
        ("/connections/nobody?provider_config_key=twilio", "*/*"),
        ("/twilio/messages?connectionId=my-twilio", "*/*"),
        ("/twilio/messages?connectionId=my-twilio", csv),
        ("/no/such/path/at/all", "*/*"),
    ] {
        let get = app.admin().get_as(path, accept).await;
        let head = app.admin().request(Method::HEAD, path).header("Accept", accept);
        let head = app.admin().send(head).await;

        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.text, "", "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        if accept != csv {
            assert_eq!(
                head.header("content-length"),
                get.header("content-length"),
                "{path}"
            );
        }
    }
    let without_key = app.anonymous().request(Method::HEAD, "/connections");
    assert_eq!(app.anonymous().send(without_key).await.status, 401);
}
