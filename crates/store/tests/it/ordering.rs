//! Which of two writers of a row is newer: change numbers decide, not clocks.

use serde_json::json;
use store::StoreError;
use store::records::{Requested, WrittenKeys};
use testkit_macros::on_both_databases;

use crate::fixture::{Fixture, NOW, record};
use crate::records::all;

#[on_both_databases]
async fn a_page_that_was_requested_before_a_row_was_written_leaves_that_row_as_it_is(fixture: Fixture) {
    let stream = fixture.stream().await;
    let with = |status: &str| record(&json!({"sid": "a", "status": status}));
    stream.write(vec![with("new")]).await.unwrap();
    let before = all(&stream).await;

    let late = stream.write_with(vec![with("old"), record(&json!({"sid": "b"}))], |page| {
        page.requested = after(0);
    });
    let counts = late.await.unwrap();
    assert_eq!((counts.added, counts.updated, counts.unchanged), (1, 0, 1));
    assert_eq!(counts.written, Some(2..=2));
    let now = all(&stream).await;
    assert_eq!((&now[0], now.len()), (&before[0], 2));

    // Nor does it restore a deleted row.
    stream.delete(&["a"]).await.unwrap();
    let late = stream.write_with(vec![with("old")], |page| page.requested = after(2));
    assert_eq!(late.await.unwrap().updated, 0);
    let requested_since = stream.write_with(vec![with("old")], |page| page.requested = after(3));
    assert_eq!(requested_since.await.unwrap().updated, 1);
}

fn after(number: i64) -> Requested {
    Requested {
        after: number,
        ..Requested::default()
    }
}

#[on_both_databases]
async fn a_page_is_newer_than_what_pages_wrote_that_were_requested_before_it(fixture: Fixture) {
    let stream = fixture.stream().await;
    let with = |status: &str| record(&json!({"sid": "a", "status": status}));
    let earlier = stream.write(vec![with("earlier")]).await.unwrap();
    let written = earlier.written.unwrap();

    let later = stream.write_with(vec![with("later")], |page| {
        page.requested = Requested {
            after: 0,
            older: vec![written],
        };
    });
    assert_eq!(later.await.unwrap().updated, 1);
}

#[on_both_databases]
async fn the_order_of_writers_does_not_depend_on_clocks(fixture: Fixture) {
    let stream = fixture.stream().await;
    let with = |status: &str| record(&json!({"sid": "a", "status": status}));
    let day = domain::Timestamp::DAY;
    // Written and marked deleted while the clock was a day ahead.
    stream
        .write_with(vec![with("ahead")], move |page| page.rows.now = NOW.plus(day))
        .await
        .unwrap();
    let right = stream.write_with(vec![with("right")], |page| page.requested = after(1));
    assert_eq!(right.await.unwrap().updated, 1);
    stream.clock.advance(day);
    stream.delete(&["a"]).await.unwrap();
    stream.clock.turn_back(day);
    let back = stream.write_with(vec![with("back")], |page| page.requested = after(3));
    assert_eq!(back.await.unwrap().updated, 1);
    assert_eq!(all(&stream).await[0].deleted_at, None);
}

#[on_both_databases]
async fn a_row_that_was_written_after_it_was_missing_is_not_marked_deleted(fixture: Fixture) {
    let stream = fixture.stream().await;
    let both = ["a", "b"].map(|sid| record(&json!({ "sid": sid })));
    stream.write(both.to_vec()).await.unwrap();
    assert_eq!(stream.delete_up_to(&["a", "b"], 1).await.unwrap(), 1);
    let rows = all(&stream).await;
    assert_eq!(rows.iter().filter(|row| row.deleted_at.is_none()).count(), 1);
}

#[on_both_databases]
async fn a_first_load_looks_up_rows_that_it_may_have_written_and_detects_those_of_others(fixture: Fixture) {
    let stream = fixture.stream().await;
    let with = |sid: &str, status: &str| record(&json!({"sid": sid, "status": status}));
    // Pages use it on another thread.
    let written: &'static WrittenKeys = Box::leak(Box::default());
    let page = async |records: Vec<_>| {
        stream
            .write_with(records, move |page| page.written = Some(written))
            .await
    };
    let first = page(vec![with("a", "new"), with("b", "new"), with("a", "newer")]).await;
    assert_eq!(first.unwrap().added, 2);
    let second = page(vec![with("b", "new"), with("a", "newest"), with("c", "new")])
        .await
        .unwrap();
    assert_eq!((second.added, second.updated, second.unchanged), (1, 1, 1));

    stream.write(vec![with("theirs", "new")]).await.unwrap();
    let before = all(&stream).await;
    let refused = page(vec![with("d", "new"), with("theirs", "ours")]).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict { what: "record" })),
        "{refused:?}"
    );
    assert_eq!(all(&stream).await, before, "nothing of the page is written");
    let repeated = stream
        .write(vec![with("d", "new"), with("theirs", "ours")])
        .await
        .unwrap();
    assert_eq!((repeated.added, repeated.updated), (1, 1));
}
