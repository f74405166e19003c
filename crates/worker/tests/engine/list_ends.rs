//! How lists end: what proves the end, and that the records of a page are stored whatever else it contains.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;
use testkit::{Dialect, on_both_databases};
use wiremock::ResponseTemplate;

use crate::acme::{self, Acme, ReceivedRequest, page, things};

const BY_TOKEN: &str =
    "paginate: { type: cursor, cursor_name_in_request: token, cursor_path_in_response: next }";
const BY_OFFSET: &str =
    "paginate: { type: offset, offset_name_in_request: skip, limit_name_in_request: size, limit: 3 }";
const BY_PAGE: &str = "paginate: { type: offset, offset_name_in_request: page, offset_start_value: 1, \
     offset_calculation_method: per-page, limit: 2 }";

/// What a test changes while the provider runs.
type Shelf = Arc<Mutex<Vec<&'static str>>>;

fn shelf(ids: &[&'static str]) -> Shelf {
    Arc::new(Mutex::new(ids.to_vec()))
}

fn pair(live: &[&str], deleted: &[&str]) -> (Vec<String>, Vec<String>) {
    let owned = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect();
    (owned(live), owned(deleted))
}

#[on_both_databases]
async fn the_token_that_was_used_is_the_end_of_the_list(dialect: Dialect) {
    let first = shelf(&["p0", "p1"]);
    let shown = Arc::clone(&first);
    let respond = move |request: &ReceivedRequest| match request.text("token") {
        None => page(
            &things(shown.lock().unwrap().iter().copied()),
            json!({ "next": "t2" }),
        ),
        Some(token) => page(&things(["p2"]), json!({ "next": token })),
    };
    acme::on(dialect, BY_TOKEN, respond, async |acme| {
        assert_eq!(acme.incomplete().await, None);
        assert_eq!(acme.keys().await, pair(&["p0", "p1", "p2"], &[]));

        first.lock().unwrap().pop();
        acme.next_hour().await;
        assert_eq!(acme.keys().await, pair(&["p0", "p2"], &["p1"]));
    })
    .await;
}

#[on_both_databases]
async fn records_beside_a_bad_next_page_are_stored(dialect: Dialect) {
    let by_link =
        "paginate: { type: link, link_path_in_response_body: next, link_rel_in_response_header: next }";
    let body = |next: serde_json::Value| page(&things(["a", "b"]), json!({ "next": next }));
    let header = |value: &'static str| page(&things(["a", "b"]), json!({})).insert_header("Link", value);
    let cases: Vec<(&str, ResponseTemplate, &str)> = vec![
        (
            by_link,
            body(json!("https://evil.example/things?page=2")),
            "foreign_link",
        ),
        (
            by_link,
            body(json!({ "href": "/things?page=2" })),
            "next_page_unreadable",
        ),
        (by_link, body(json!(2)), "next_page_unreadable"),
        (
            by_link,
            header("</things?page=2; rel=next"),
            "next_page_unreadable",
        ),
        (BY_TOKEN, body(json!(["t2"])), "next_page_unreadable"),
        (BY_TOKEN, body(json!({ "after": "t2" })), "next_page_unreadable"),
        (BY_TOKEN, body(json!(true)), "next_page_unreadable"),
    ];
    for (sync, response, code) in cases {
        acme::on(
            dialect,
            sync,
            move |_: &ReceivedRequest| response.clone(),
            async |acme| {
                assert_eq!(acme.error_code().await, code);
                assert_eq!(acme.keys().await, pair(&["a", "b"], &[]), "{code}");
            },
        )
        .await;
    }
}

#[on_both_databases]
async fn a_cycle_of_tokens_fails_the_run_and_keeps_its_records(dialect: Dialect) {
    let respond = |request: &ReceivedRequest| match request.text("token") {
        None => page(&things(["a"]), json!({ "next": "t1" })),
        Some("t1") => page(&things(["b"]), json!({ "next": "t2" })),
        Some(_) => page(&things(["c"]), json!({ "next": "t1" })),
    };
    acme::on(dialect, BY_TOKEN, respond, async |acme| {
        assert_eq!(acme.error_code().await, "page_repeats");
        assert_eq!(acme.keys().await, pair(&["a", "b", "c"], &[]));
    })
    .await;
}

#[on_both_databases]
async fn a_short_page_within_an_offset_list_is_not_its_end(dialect: Dialect) {
    let gone = Arc::new(AtomicUsize::new(0));
    let now_gone = Arc::clone(&gone);
    // The provider filters each page after it applies the limit.
    let respond = move |request: &ReceivedRequest| {
        let shown: &[&str] = match request.number_of("skip").unwrap() {
            0 if now_gone.load(Ordering::SeqCst) > 0 => &["1", "2"],
            0 => &["1", "2", "3"],
            2 | 3 => &["4", "5"],
            4 | 5 => &["6", "7", "8"],
            _ => &[],
        };
        page(&things(shown.iter().copied()), json!({}))
    };
    acme::on(dialect, BY_OFFSET, respond, async |acme| {
        let all = ["1", "2", "3", "4", "5", "6", "7", "8"];
        assert_eq!(
            (acme.keys().await, acme.incomplete().await),
            (pair(&all, &[]), None)
        );

        gone.store(1, Ordering::SeqCst);
        acme.next_hour().await;
        let left = ["1", "2", "4", "5", "6", "7", "8"];
        assert_eq!(acme.keys().await, pair(&left, &["3"]), "a real deletion is found");
    })
    .await;
}

/// Pages of two by number; after the last one, the provider shows it again.
fn clamped(list: Shelf) -> impl Fn(&ReceivedRequest) -> ResponseTemplate {
    move |request| {
        let list = list.lock().unwrap();
        let pages: Vec<_> = list.chunks(2).collect();
        let number = request.number_of("page").unwrap().min(pages.len());
        page(&things(pages[number - 1].iter().copied()), json!({}))
    }
}

#[on_both_databases]
async fn a_short_last_page_shown_again_is_the_end(dialect: Dialect) {
    let list = shelf(&["a", "b", "c", "d", "e"]);
    acme::on(dialect, BY_PAGE, clamped(Arc::clone(&list)), async |acme| {
        assert_eq!(acme.incomplete().await, None);
        assert_eq!(acme.keys().await, pair(&["a", "b", "c", "d", "e"], &[]));

        list.lock().unwrap().retain(|id| !["b", "d"].contains(id));
        acme.next_hour().await;
        assert_eq!(acme.keys().await, pair(&["a", "c", "e"], &["b", "d"]));
    })
    .await;
}

#[on_both_databases]
async fn a_full_last_page_shown_again_is_not_the_end(dialect: Dialect) {
    let list = shelf(&["a", "b", "c", "d"]);
    acme::on(dialect, BY_PAGE, clamped(Arc::clone(&list)), async |acme| {
        assert!(acme.incomplete().await.is_some());
        list.lock().unwrap().drain(..2);
        acme.next_hour().await;
        assert!(acme.incomplete().await.is_some());
        assert_eq!(acme.keys().await, pair(&["a", "b", "c", "d"], &[]));
    })
    .await;
}

#[on_both_databases]
async fn a_list_without_its_end_flag_is_incomplete(dialect: Dialect) {
    let sync = "paginate: { type: cursor, cursor_name_in_request: token, cursor_path_in_response: next, \
         more_path_in_response: more }";
    let respond = |request: &ReceivedRequest| match request.number {
        0 => page(&things(["a", "b"]), json!({ "more": false })),
        1 => page(&things(["a"]), json!({ "next": null })),
        2 => page(&things(["a"]), json!({ "next": null, "more": true })),
        _ => page(&things(["a"]), json!({ "next": "x", "more": false })),
    };
    acme::on(dialect, sync, respond, async |acme| {
        assert_eq!(acme.incomplete().await, None);
        for why in ["more_path_in_response", "more records follow"] {
            acme.next_hour().await;
            let reason = acme.incomplete().await.unwrap();
            assert!(reason.contains(why), "{reason}");
            assert_eq!(acme.keys().await, pair(&["a", "b"], &[]));
        }
        is_told(&acme).await;
        acme.next_hour().await;
        assert_eq!(acme.keys().await, pair(&["a"], &["b"]));
    })
    .await;
}

/// Fails unless the sync and the log say that its last run was incomplete.
async fn is_told(acme: &Acme) {
    let path = "/sync/status?syncs=*&provider_config_key=acme";
    let state = acme.app.admin().get(path).await.expect(200).json();
    assert!(state["syncs"][0]["incomplete"].is_string(), "{state:#}");
    assert!(
        acme.app
            .logs()
            .contains("a list may not have been read to its end")
    );
}

#[on_both_databases]
async fn a_list_that_shows_fewer_records_than_its_total_is_incomplete(dialect: Dialect) {
    let sync = format!(
        "{} }}",
        BY_OFFSET.trim_end_matches(" }").to_owned() + ", total_path_in_response: total"
    );
    let respond = |request: &ReceivedRequest| {
        let shown: &[&str] = match (request.number, request.number_of("skip").unwrap()) {
            (_, 0) => &["1", "2", "3"],
            (0..=2, 3) => &["4", "5"],
            _ => &[],
        };
        page(&things(shown.iter().copied()), json!({ "total": 5 }))
    };
    acme::on(dialect, &sync, respond, async |acme| {
        assert_eq!(acme.incomplete().await, None);
        assert_eq!(
            acme.queries().await.len(),
            2,
            "the total makes an empty page needless"
        );
        acme.next_hour().await;
        acme.next_hour().await;
        let reason = acme.incomplete().await.unwrap();
        assert!(
            reason.contains("3 records") && reason.contains("total is 5"),
            "{reason}"
        );
        assert_eq!(acme.keys().await, pair(&["1", "2", "3", "4", "5"], &[]));
    })
    .await;
}

#[on_both_databases]
async fn a_list_with_unreadable_records_marks_nothing_deleted(dialect: Dialect) {
    let respond = |request: &ReceivedRequest| {
        let mut list = things(["a", "b"]);
        if request.number == 1 {
            list[1] = json!({ "id": { "no": "key" } });
        } else if request.number > 1 {
            list.pop();
        }
        page(&list, json!({}))
    };
    acme::on(dialect, BY_TOKEN, respond, async |acme| {
        acme.next_hour().await;
        assert!(acme.incomplete().await.unwrap().contains("could not be read"));
        assert_eq!(acme.keys().await, pair(&["a", "b"], &[]));
        acme.next_hour().await;
        assert_eq!(acme.keys().await, pair(&["a"], &["b"]));
    })
    .await;
}

#[on_both_databases]
async fn a_list_of_one_response_is_compared(dialect: Dialect) {
    let respond = |request: &ReceivedRequest| {
        let shown: &[&str] = if request.number == 0 { &["a", "b"] } else { &["a"] };
        page(&things(shown.iter().copied()), json!({}))
    };
    acme::on(dialect, "paginate: { type: none }", respond, async |acme| {
        acme.next_hour().await;
        assert_eq!(acme.keys().await, pair(&["a"], &["b"]));
        assert_eq!(acme.incomplete().await, None);
    })
    .await;
}

#[on_both_databases]
async fn an_empty_page_within_a_list_is_allowed(dialect: Dialect) {
    let respond = |request: &ReceivedRequest| match request.text("token") {
        None => page(&things(["a"]), json!({ "next": "0" })),
        Some("9") => page(&things(["b"]), json!({})),
        Some(token) => {
            let next = token.parse::<u32>().unwrap() + 1;
            page(&[], json!({ "next": next }))
        }
    };
    acme::on(dialect, BY_TOKEN, respond, async |acme| {
        assert_eq!(acme.incomplete().await, None);
        assert_eq!(acme.keys().await, pair(&["a", "b"], &[]));
    })
    .await;
}
