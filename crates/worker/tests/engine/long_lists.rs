//! Lists without an end, and lists that are longer than one run may read.

use std::time::Duration;

use serde_json::json;
use testkit::{Dialect, on_both_databases};
use worker::{ListBounds, WorkerOptions};

use crate::acme::{self, Acme, ReceivedRequest, page};

const BY_TOKEN: &str =
    "paginate: { type: cursor, cursor_name_in_request: token, cursor_path_in_response: next }";

#[on_both_databases]
async fn a_list_that_continues_with_empty_pages_ends_the_run(dialect: Dialect) {
    let respond = |request: &ReceivedRequest| {
        let items = if request.text("token").is_none() {
            vec![json!({ "id": "a" })]
        } else {
            Vec::new()
        };
        page(&items, json!({ "next": format!("t{}", request.number) }))
    };
    acme::on(dialect, BY_TOKEN, respond, async |acme| {
        assert_eq!(acme.error_code().await, "list_without_end");
        let run = acme.newest_run().await;
        let message = run["error"]["message"].as_str().unwrap();
        assert!(message.contains("1000 empty pages in a row"), "{message}");
        assert_eq!(acme.keys().await.0, ["a"]);
        assert_eq!(acme.queries().await.len(), 1_001);
    })
    .await;
}

/// Runs the sync with workers that read at most ten pages of a list.
async fn run_ten_pages(acme: &Acme) {
    acme.app.advance(Duration::from_hours(2));
    let options = WorkerOptions {
        lists: ListBounds {
            pages: 10,
            ..ListBounds::default()
        },
        ..WorkerOptions::default()
    };
    acme.app.run_due_with(options).await;
}

#[on_both_databases]
async fn a_list_longer_than_one_run_may_read_is_read_by_several(dialect: Dialect) {
    // The list is short until the third request.
    let respond = |request: &ReceivedRequest| {
        let number = request.number_of("token").unwrap_or_default();
        let more = request.number > 0 && number < 24;
        page(
            &[json!({ "id": format!("{number:02}") })],
            json!({ "next": more.then_some(number + 1) }),
        )
    };
    acme::on(dialect, BY_TOKEN, respond, async |acme| {
        for rows in [10, 20] {
            run_ten_pages(&acme).await;
            assert_eq!(acme.error_code().await, "list_without_end");
            assert_eq!(acme.keys().await.0.len(), rows);
        }
        run_ten_pages(&acme).await;
        assert!(acme.incomplete().await.unwrap().contains("longer than one run"));
        assert_eq!(acme.keys().await.0.len(), 25);
        assert_eq!(acme.queries().await.len(), 26, "no page was read twice");
    })
    .await;
}
