//! Pages are written once, counted exactly, numbered without gaps, and only by the lease holder.

use std::collections::HashMap;
use std::time::Duration;

use domain::{StoredRecord, Value};
use proptest::prelude::*;
use serde_json::json;
use store::records::{self, ChangeQuery, SliceChange};
use store::slices::{self, NewSlice};
use store::{Dialect, StoreError, runs, schedule, syncs};
use testkit_macros::on_both_databases;
use tokio::runtime::Handle;

use crate::fixture::{Fixture, NOW, Stream, model, record};

pub(crate) async fn all(stream: &Stream) -> Vec<StoredRecord> {
    let query = ChangeQuery {
        limit: 1_000_000,
        ..ChangeQuery::default()
    };
    stream
        .read(move |c, s| records::changes(c, &s.table, s.connection, &query))
        .await
}

/// Leaks a value, so that a page may borrow it on another thread.
fn leaked<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

#[on_both_databases]
async fn every_kind_of_value_reads_back_as_written(fixture: Fixture) {
    let stream = fixture.stream().await;
    let full = record(
        &json!({"sid": "ä'?\"", "from": "+1", "status": "", "parts": i64::MIN, "read": true, "price": "-0.00750",
        "sent_at": "2026-11-21T10:00:00.000001Z", "made_at": "0001-01-01T00:00:00Z", "links": [1], "other": {"x": "?"}}),
    );
    let empty = record(&json!({"sid": "b"}));
    let counts = stream.write(vec![full.clone(), empty.clone()]).await.unwrap();
    assert_eq!((counts.added, counts.updated, counts.unchanged), (2, 0, 0));

    let rows = all(&stream).await;
    assert_eq!(rows[0].values, full.values);
    assert_eq!(rows[1].values, empty.values);
    let extra: serde_json::Value = serde_json::from_str(rows[0].extra.as_deref().unwrap()).unwrap();
    assert_eq!(
        (extra, rows[1].extra.as_deref()),
        (json!({"other": {"x": "?"}}), None)
    );
    assert_eq!(
        (
            rows[0].first_seen_at,
            rows[0].last_modified_at,
            rows[0].deleted_at
        ),
        (NOW, NOW, None)
    );
    assert_eq!(rows.iter().map(|row| row.cursor).collect::<Vec<_>>(), [1, 2]);
}

#[on_both_databases]
async fn a_page_updates_run_slice_and_checkpoint_with_its_rows(fixture: Fixture) {
    let stream = fixture.stream().await;
    let sync = stream.lease.id;
    let new = |kind: &str| NewSlice {
        kind: kind.to_owned(),
        from_at: Some(NOW),
        to_at: None,
        next: None,
    };
    let made = fixture
        .store
        .write(move |c| slices::insert(c, sync, &[new("one"), new("two")]))
        .await
        .unwrap();
    let (one, two) = (made[0].id, made[1].id);
    let page = vec![
        record(&json!({"sid": "a", "parts": "odd"})),
        record(&json!({"sid": "b"})),
        record(&json!({"sid": "a"})),
    ];
    let counts = stream
        .write_with(page, move |page| {
            page.pages = 2;
            page.notes.pages = 2;
            page.notes.skipped = 3;
            page.slice = Some(leaked(SliceChange::Advance {
                id: one,
                next: Some("n".to_owned()),
                from_at: Some(NOW.plus(Duration::from_micros(1))),
            }));
            page.new_slices = leaked([NewSlice {
                next: None,
                kind: "three".to_owned(),
                from_at: None,
                to_at: Some(NOW),
            }]);
            page.checkpoint = Some(json!({"k": 1}));
            page.notes.progress = Some(0.5);
        })
        .await
        .unwrap();
    assert_eq!(
        (counts.added, counts.repeated, counts.new_slices.len()),
        (2, 1, 1)
    );
    stream
        .write_with(vec![], move |page| {
            page.slice = Some(leaked(SliceChange::Done { id: two }));
        })
        .await
        .unwrap();

    let left = fixture.store.read(move |c| slices::list(c, sync)).await.unwrap();
    assert_eq!(left[1], counts.new_slices[0]);
    let advanced = &left[0];
    assert_eq!(
        (advanced.id, advanced.next.as_deref(), advanced.from_at),
        (one, Some("n"), Some(NOW.plus(Duration::from_micros(1))))
    );
    assert_eq!((left.len(), advanced.pages, advanced.records), (2, 2, 3));
    let run = fixture
        .store
        .read(move |c| runs::latest(c, sync))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (run.pages, run.added, run.skipped, run.progress),
        (3, 2, 3, Some(0.5))
    );
    assert_eq!(
        run.misfits.map(|misfits| misfits.into_iter().collect()),
        Some(vec![(
            "parts".to_owned(),
            domain::MisfitCount {
                count: 1,
                first: "not a number".to_owned()
            }
        )])
    );
    let row = fixture
        .store
        .read(move |c| syncs::get_any_environment(c, sync))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.checkpoint, json!({"k": 1}));
}

#[on_both_databases]
async fn a_worker_that_lost_its_lease_writes_nothing(fixture: Fixture) {
    let stream = fixture.stream().await;
    stream.write(vec![record(&json!({"sid": "a"}))]).await.unwrap();
    let later = NOW.plus(Duration::from_mins(2));
    fixture
        .store
        .write(move |c| schedule::claim(c, later, later.plus(Duration::from_micros(1)), "thief", 5))
        .await
        .unwrap();
    let written = stream.write(vec![record(&json!({"sid": "b"}))]).await;
    assert!(matches!(written, Err(StoreError::LeaseLost)), "{written:?}");
    assert!(matches!(stream.delete(&["a"]).await, Err(StoreError::LeaseLost)));
    assert_eq!(all(&stream).await.len(), 1);
}

#[on_both_databases]
async fn a_deleted_row_keeps_only_its_key_and_returns_as_updated(fixture: Fixture) {
    let stream = fixture.stream().await;
    let a = record(&json!({"sid": "a", "from": "+1", "x": 1}));
    stream
        .write(vec![a.clone(), record(&json!({"sid": "b"}))])
        .await
        .unwrap();
    stream.clock.advance(Duration::from_micros(9));
    assert_eq!(stream.delete(&["a", "none", "a"]).await.unwrap(), 1);
    assert_eq!(stream.delete(&["a"]).await.unwrap(), 0);

    let rows = all(&stream).await;
    let gone = rows.last().unwrap();
    assert_eq!(gone.values[0], Value::Text("a".to_owned()));
    assert!(gone.values[1..].iter().all(|value| *value == Value::Null));
    assert_eq!(
        (gone.extra.as_deref(), gone.deleted_at, gone.last_modified_at),
        (
            None,
            Some(NOW.plus(Duration::from_micros(9))),
            NOW.plus(Duration::from_micros(9))
        )
    );
    assert_eq!((gone.first_seen_at, gone.cursor), (NOW, 3));
    let live = |c: &mut store::DbConn, s: &Stream| records::count_live(c, &s.table, s.connection);
    assert_eq!(stream.read(live).await, 1);

    let counts = stream.write(vec![a.clone()]).await.unwrap();
    assert_eq!((counts.added, counts.updated), (0, 1));
    let back = all(&stream).await.pop().unwrap();
    assert_eq!(
        (back.values, back.deleted_at, back.cursor, back.first_seen_at),
        (a.values, None, 4, NOW)
    );
    assert_eq!(stream.read(live).await, 2);
    let sync = stream.lease.id;
    let run = fixture
        .store
        .read(move |c| runs::latest(c, sync))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((run.added, run.updated, run.deleted), (2, 1, 1));
}

#[on_both_databases]
async fn pages_written_concurrently_get_change_numbers_without_gaps_or_duplicates(fixture: Fixture) {
    let stream = fixture.stream().await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..2 {
        let stream = stream.clone();
        writers.spawn(async move {
            for page in 0..20 {
                let records = (0..5)
                    .map(|n| record(&json!({"sid": format!("{writer}-{page}-{n}")})))
                    .collect();
                stream.write(records).await.unwrap();
            }
        });
    }
    // A reader that saw number n saw all numbers below it.
    let reader = stream.clone();
    while !writers.is_empty() {
        let rows = all(&reader).await;
        assert!(
            rows.iter().zip(1..).all(|(row, number)| row.cursor == number),
            "{}",
            rows.len()
        );
        if rows.len() == 200 {
            break;
        }
        while let Some(result) = writers.try_join_next() {
            result.unwrap();
        }
    }
    writers.join_all().await;
    assert_eq!(all(&stream).await.len(), 200);
}

#[on_both_databases]
async fn rows_of_a_connection_are_deleted_permanently_in_batches(fixture: Fixture) {
    let stream = fixture.stream().await;
    stream
        .write((0..5).map(|n| record(&json!({"sid": n.to_string()}))).collect())
        .await
        .unwrap();
    stream.delete(&["0"]).await.unwrap();
    let mut deleted = Vec::new();
    for _ in 0..3 {
        let s = stream.clone();
        deleted.push(
            stream
                .store
                .write(move |c| records::delete_connection(c, &s.table, s.connection, 3))
                .await
                .unwrap(),
        );
    }
    assert_eq!(deleted, [3, 2, 0]);
    assert_eq!(
        stream
            .read(|c, s| records::count_live(c, &s.table, s.connection))
            .await,
        0
    );
}

/// A page, or keys to delete.
#[derive(Debug, Clone)]
enum Step {
    Page(Vec<(u8, u8)>),
    Delete(Vec<u8>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let page = prop::collection::vec((0_u8..12, 0_u8..3), 0..10).prop_map(Step::Page);
    let delete = prop::collection::vec(0_u8..12, 0..4).prop_map(Step::Delete);
    prop::collection::vec(prop_oneof![3 => page, 1 => delete], 1..12)
}

async fn behaves_like_a_map(stream: Stream, steps: Vec<Step>) {
    // The value of each key; `None` once deleted.
    let mut rows: HashMap<u8, Option<u8>> = HashMap::new();
    let mut changes = 0;
    for step in steps {
        match step {
            Step::Page(page) => {
                let records = page
                    .iter()
                    .map(|(key, value)| record(&json!({"sid": key.to_string(), "parts": value})))
                    .collect();
                let counts = stream.write(records).await.unwrap();
                let mut expected = (0, 0, 0);
                for (key, value) in page.iter().copied().collect::<HashMap<_, _>>() {
                    match rows.insert(key, Some(value)) {
                        None => expected.0 += 1,
                        Some(Some(old)) if old == value => expected.2 += 1,
                        Some(_) => expected.1 += 1,
                    }
                }
                assert_eq!((counts.added, counts.updated, counts.unchanged), expected);
                changes += expected.0 + expected.1;
            }
            Step::Delete(keys) => {
                let names: Vec<_> = keys.iter().map(u8::to_string).collect();
                let deleted = stream
                    .delete(&names.iter().map(String::as_str).collect::<Vec<_>>())
                    .await
                    .unwrap();
                let mut expected = 0;
                for key in keys {
                    expected += u64::from(rows.get_mut(&key).is_some_and(|row| row.take().is_some()));
                }
                assert_eq!(deleted, expected);
                changes += expected;
            }
        }
    }
    let stored = all(&stream).await;
    assert!(stored.windows(2).all(|pair| pair[0].cursor < pair[1].cursor));
    assert_eq!(
        stored.last().map_or(0, |row| row.cursor),
        i64::try_from(changes).unwrap()
    );
    let parts = model().columns.get_index_of("parts").unwrap();
    let found: HashMap<u8, Option<u8>> = stored
        .iter()
        .map(|row| {
            let value = if let Value::Integer(value) = &row.values[parts] {
                Some(u8::try_from(*value).unwrap())
            } else {
                None
            };
            (row.position.key.parse().unwrap(), value)
        })
        .collect();
    assert_eq!(found, rows);
    let live = stream
        .read(|c, s| records::count_live(c, &s.table, s.connection))
        .await;
    assert_eq!(usize::try_from(live).unwrap(), rows.values().flatten().count());
}

#[on_both_databases]
async fn random_pages_and_deletions_behave_like_a_map(dialect: Dialect) {
    let runtime = Handle::current();
    let cases = tokio::task::spawn_blocking(move || {
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            cases: 16,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        runner.run(&steps(), |steps| {
            runtime.block_on(async {
                if let Some(fixture) = Fixture::new(dialect).await {
                    behaves_like_a_map(fixture.stream().await, steps).await;
                }
            });
            Ok(())
        })
    });
    cases.await.unwrap().unwrap();
}
