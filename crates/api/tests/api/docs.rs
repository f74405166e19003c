//! The page at `/docs`: it needs no key, comes from the binary, and loads nothing from other origins.

use std::collections::BTreeSet;

use store::Dialect;
use testkit::{Reply, TestApp};

/// Returns the names of the page's parts that a text refers to.
fn parts(text: &str) -> BTreeSet<String> {
    let quoted = text.split('"').skip(1).step_by(2);
    quoted
        .filter_map(|name| name.strip_prefix("/docs/").or_else(|| name.strip_prefix("./")))
        .map(str::to_owned)
        .collect()
}

fn assert_from_here(reply: &Reply) {
    for foreign in ["http://", "https://", "\"//", "'//", "url("] {
        assert!(!reply.text.contains(foreign), "{foreign} in {}", reply.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_docs_page_needs_no_key_and_loads_nothing_from_other_origins() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();

    let page = app.anonymous().get("/docs").await.expect(200);

    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    let rules: Vec<&str> = policy.split("; ").collect();
    for rule in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(rules.contains(&rule), "{rule} is not in {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_from_here(&page);
    // The policy blocks everything else.
    for inline in ["<style", " style=", " onclick=", "<script>"] {
        assert!(!page.text.contains(inline), "{inline}");
    }
    assert_eq!(app.anonymous().get("/docs/").await.expect(200).text, page.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_of_the_docs_page_is_served_with_its_type() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    let page = app.anonymous().get("/docs").await.expect(200);

    let mut wanted: Vec<String> = parts(&page.text).into_iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let part = app.anonymous().get(&format!("/docs/{name}")).await.expect(200);
        let kind = part.header("content-type").unwrap();
        let ending = name.rsplit('.').next().unwrap();
        assert_eq!(
            kind,
            match ending {
                "css" => "text/css; charset=utf-8",
                _ => "text/javascript; charset=utf-8",
            },
            "{name}"
        );
        assert_from_here(&part);
        if ending == "js" {
            wanted.extend(parts(&part.text));
        }
    }

    let names: Vec<&str> = seen.iter().map(String::as_str).collect();
    assert_eq!(names, ["docs.css", "docs.js", "dom.js", "schema.js", "try.js"]);
    let none = app.anonymous().get("/docs/docs.html").await.expect(404);
    assert_eq!(none.code(), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_docs_page_keeps_a_key_in_its_tab_and_out_of_urls() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();

    let mut script = String::new();
    for name in ["docs.js", "dom.js", "schema.js", "try.js"] {
        script += &app
            .anonymous()
            .get(&format!("/docs/{name}"))
            .await
            .expect(200)
            .text;
    }

    assert!(script.contains("sessionStorage.setItem"));
    for elsewhere in ["localStorage", "document.cookie", "innerHTML", "eval("] {
        assert!(!script.contains(elsewhere), "{elsewhere}");
    }
}
