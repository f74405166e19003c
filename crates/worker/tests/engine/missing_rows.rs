//! Rows that a complete list does not show: marked deleted only once that is confirmed.

use std::sync::{Arc, Mutex};

use serde_json::json;
use testkit::{Dialect, on_both_databases};
use wiremock::ResponseTemplate;

use crate::acme::{self, ReceivedRequest, page, things};

const BY_OFFSET: &str =
    "paginate: { type: offset, offset_name_in_request: skip, limit_name_in_request: size, limit: 2 }";

type Shelf = Arc<Mutex<Vec<String>>>;

fn shelf(count: usize) -> Shelf {
    Arc::new(Mutex::new(
        (0..count).map(|number| format!("{number:02}")).collect(),
    ))
}

/// Responds with pages of `list` by offset, after `before` changed it.
fn by_offset(
    list: Shelf,
    before: impl Fn(&ReceivedRequest, &mut Vec<String>) + Send + Sync,
) -> impl Fn(&ReceivedRequest) -> ResponseTemplate + Send + Sync {
    move |request| {
        let mut list = list.lock().unwrap();
        before(request, &mut list);
        let (skip, size) = (
            request.number_of("skip").unwrap(),
            request.number_of("size").unwrap(),
        );
        let shown: Vec<_> = list.iter().skip(skip).take(size).map(String::as_str).collect();
        page(&things(shown), json!({}))
    }
}

#[on_both_databases]
async fn a_row_that_moves_past_an_offset_stays(dialect: Dialect) {
    let list = shelf(10);
    let calls = 6;
    // In the second run the first record is deleted after the first page was read, so that "02" is on no page.
    let respond = by_offset(list, move |request, list| {
        if request.number == calls + 1 {
            list.remove(0);
        }
    });
    acme::on(dialect, BY_OFFSET, respond, async |acme| {
        assert_eq!(acme.queries().await.len(), calls);
        acme.next_hour().await;
        let run = acme.newest_run().await;
        assert_eq!(
            (&run["deleted"], &run["added"], &run["updated"], &run["unchanged"]),
            (&0.into(), &0.into(), &0.into(), &9.into())
        );
        acme.next_hour().await;
        let (live, deleted) = acme.keys().await;
        assert_eq!((live.len(), deleted), (9, vec!["00".to_owned()]));
        assert!(live.contains(&"02".to_owned()));
        assert_eq!(acme.incomplete().await, None);
    })
    .await;
}

/// Responds with pages of a list by token, newest change first; `before` changes it.
fn newest_first(
    list: Shelf,
    before: impl Fn(&ReceivedRequest, &mut Vec<String>) + Send + Sync,
) -> impl Fn(&ReceivedRequest) -> ResponseTemplate + Send + Sync {
    move |request| {
        let mut list = list.lock().unwrap();
        before(request, &mut list);
        // A token names the last record that was shown.
        let start = request
            .text("after")
            .and_then(|after| list.iter().position(|id| id == after))
            .map_or(0, |place| place + 1);
        let shown: Vec<_> = list.iter().skip(start).take(2).map(String::as_str).collect();
        let next = shown.last().filter(|_| start + 2 < list.len());
        page(&things(shown.clone()), json!({ "next": next }))
    }
}

#[on_both_databases]
async fn a_row_that_moves_to_the_front_while_it_is_read_stays(dialect: Dialect) {
    let sync = "paginate: { type: cursor, cursor_name_in_request: after, cursor_path_in_response: next }";
    let respond = newest_first(shelf(10), |request, list| {
        if request.number == 6 {
            let moved = list.remove(7);
            list.insert(0, moved);
        }
    });
    acme::on(dialect, sync, respond, async |acme| {
        acme.next_hour().await;
        let (live, deleted) = acme.keys().await;
        assert_eq!((live.len(), deleted.len()), (10, 0));
        let cursors: Vec<i64> = acme.rows().await.values().map(|row| row.cursor).collect();
        assert_eq!(
            cursors.iter().max(),
            Some(&10),
            "readers of changes saw nothing of it"
        );
    })
    .await;
}

#[on_both_databases]
async fn deletions_are_found_in_a_list_that_always_changes(dialect: Dialect) {
    let list = shelf(30);
    // From the second run on, the list loses its newest record while it is read.
    let respond = by_offset(Arc::clone(&list), |request, list| {
        if request.number > 16 && request.number_of("skip") == Some(10) {
            list.remove(0);
        }
    });
    acme::on(dialect, BY_OFFSET, respond, async |acme| {
        list.lock().unwrap().retain(|id| id != "25");
        acme.next_hour().await;
        let (live, deleted) = acme.keys().await;
        assert!(deleted.contains(&"25".to_owned()), "{deleted:?}");
        let source = list.lock().unwrap().clone();
        for id in &source {
            assert!(live.contains(id), "{id} is there and was marked deleted");
        }
    })
    .await;
}

const BY_KEY: &str = "paginate: { type: none }\nreread: { path: \"/things/${record.id}\" }";

#[on_both_databases]
async fn a_recheck_by_key_decides_whether_a_row_is_deleted(dialect: Dialect) {
    let respond = |request: &ReceivedRequest| match (request.path.as_str(), request.number) {
        ("/things", 0) => page(&things(["a", "b", "c", "d"]), json!({})),
        ("/things", _) => page(&things(["a"]), json!({})),
        ("/things/b", _) => ResponseTemplate::new(200).set_body_json(json!({ "id": "b", "state": "hidden" })),
        ("/things/c", _) => ResponseTemplate::new(200).set_body_json(json!({ "id": "c" })),
        _ => ResponseTemplate::new(404),
    };
    acme::on(dialect, BY_KEY, respond, async |acme| {
        acme.next_hour().await;
        let (live, deleted) = acme.keys().await;
        assert_eq!(
            (live, deleted),
            (vec!["a".into(), "b".into(), "c".into()], vec!["d".to_owned()])
        );
        assert_eq!(acme.queries().await.len(), 2, "the list is not read again");
    })
    .await;
}

#[on_both_databases]
async fn records_that_cannot_be_read_by_key_block_no_others(dialect: Dialect) {
    let respond = |request: &ReceivedRequest| match (request.path.as_str(), request.number) {
        ("/things", 0) => page(&things(["a", "b", "c", "d", "e"]), json!({})),
        ("/things", _) => page(&things(["a"]), json!({})),
        ("/things/b", _) => ResponseTemplate::new(403),
        ("/things/c", _) => ResponseTemplate::new(200).set_body_string("\"odd\""),
        ("/things/d", _) => ResponseTemplate::new(200).set_body_json(json!({ "id": "d", "state": "new" })),
        _ => ResponseTemplate::new(410),
    };
    acme::on(dialect, BY_KEY, respond, async |acme| {
        acme.next_hour().await;
        let (live, deleted) = acme.keys().await;
        assert_eq!((live.len(), deleted), (4, vec!["e".to_owned()]));
        let run = acme.newest_run().await;
        assert_eq!(
            (&run["skipped"], &run["updated"], &run["deleted"]),
            (&2.into(), &1.into(), &1.into())
        );
    })
    .await;
}

#[on_both_databases]
async fn a_row_that_was_wrongly_marked_deleted_comes_back(dialect: Dialect) {
    let respond = by_offset(shelf(4), |_, _| {});
    acme::on(dialect, BY_OFFSET, respond, async |acme| {
        // Earlier versions did this; here the clock was a day ahead.
        let day = domain::Timestamp::DAY;
        acme.app.clock().advance(day);
        acme.mark_deleted(&["01", "02"]).await;
        acme.app.clock().turn_back(day);
        assert_eq!(acme.keys().await.1.len(), 2);

        acme.run_now().await;
        let (live, deleted) = acme.keys().await;
        assert_eq!((live.len(), deleted.len()), (4, 0));
        assert_eq!(acme.newest_run().await["updated"], 2);
    })
    .await;
}
