//! A database that is restored to an earlier state: readers of the change feed miss no later change.

use serde_json::json;
use store::records::{self, ChangeQuery};
use store::testing::{TestDatabase, run_sql};
use store::{Dialect, Store, StoreOptions};
use testkit_macros::on_both_databases;

use crate::fixture::{Fixture, Stream, model, record};

/// Returns keys and `from` of the changes after a number, and the last number.
async fn changes(stream: &Stream, after: i64) -> (Vec<(String, String)>, i64) {
    let found = stream
        .read(move |c, stream| {
            let query = ChangeQuery {
                after,
                limit: 100,
                ..ChangeQuery::default()
            };
            records::changes(c, &stream.table, stream.connection, &query)
        })
        .await;
    let last = found.last().map_or(after, |row| row.cursor);
    let text = |row: &domain::StoredRecord, column: &str| match &row.values[column_index(column)] {
        domain::Value::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    (
        found
            .iter()
            .map(|row| (text(row, "sid"), text(row, "from")))
            .collect(),
        last,
    )
}

fn column_index(column: &str) -> usize {
    model().columns.get_index_of(column).unwrap()
}

/// Returns a copy of the database, like a restored backup.
async fn copy(fixture: &Fixture) -> (TestDatabase, Store) {
    let copy = fixture.database.copy();
    // Making the copy ended the connections.
    while fixture.store.ping().await.is_err() {}
    let store = Store::open(&copy.url, StoreOptions::default()).await.unwrap();
    (copy, store)
}

async fn write(stream: &Stream, rows: &[(&str, &str)]) {
    let rows = rows
        .iter()
        .map(|(sid, from)| record(&json!({"sid": sid, "from": from})));
    stream.write(rows.collect()).await.unwrap();
}

#[on_both_databases]
async fn a_reader_that_is_ahead_of_a_restored_backup_sees_every_change_after_it(fixture: Fixture) {
    let dialect = fixture.store.dialect();
    let lost = fixture.stream().await;
    write(&lost, &[("a", "1"), ("b", "1")]).await;
    let (_, early) = changes(&lost, 0).await;
    let (_database, store) = copy(&fixture).await;
    // All of this is lost: one row changes and changes back, one changes, one is new.
    write(&lost, &[("a", "2"), ("b", "2"), ("c", "1")]).await;
    let (seen, ahead) = changes(&lost, early).await;
    assert_eq!(seen.len(), 3);

    if dialect == Dialect::Sqlite {
        store.raise_change_numbers().await.unwrap();
    }
    let restored = Stream { store, ..lost };
    write(&restored, &[("a", "1"), ("b", "2"), ("c", "1")]).await;

    let (mut seen, next) = changes(&restored, ahead).await;
    seen.sort();
    let expected = [("a", "1"), ("b", "2"), ("c", "1")].map(|(key, from)| (key.to_owned(), from.to_owned()));
    assert_eq!(seen, expected);
    assert!(next > ahead);
    let (seen, _) = changes(&restored, early).await;
    assert_eq!(
        seen.len(),
        2,
        "a reader that was not ahead gets only the changes: {seen:?}"
    );
    write(&restored, &[("d", "1")]).await;
    let (seen, _) = changes(&restored, next).await;
    assert_eq!(
        seen,
        [("d".to_owned(), "1".to_owned())],
        "and from then on each change once"
    );
}

#[on_both_databases]
async fn a_table_that_a_backup_lacks_begins_above_the_numbers_that_its_readers_saw(fixture: Fixture) {
    let lost = fixture.stream().await;
    let (_database, store) = copy(&fixture).await;
    write(&lost, &[("a", "1"), ("b", "1")]).await;
    let (_, ahead) = changes(&lost, 0).await;

    store.raise_change_numbers().await.unwrap();
    store.raise_change_numbers().await.unwrap();
    let restored = Stream { store, ..lost };
    write(&restored, &[("c", "1")]).await;

    let (seen, _) = changes(&restored, ahead).await;
    assert_eq!(seen, [("c".to_owned(), "1".to_owned())]);
}

#[tokio::test]
async fn a_restart_of_the_same_postgres_raises_no_change_numbers() {
    let Some(fixture) = Fixture::new(Dialect::Postgres).await else {
        return;
    };
    let stream = fixture.stream().await;
    write(&stream, &[("a", "1")]).await;
    let again = Stream {
        store: fixture.database.store().await,
        ..stream
    };
    write(&again, &[("b", "1")]).await;
    assert_eq!(changes(&again, 0).await.1, 2);
    // A role with few rights can read the identity, too.
    fixture
        .store
        .write(|c| run_sql(c, "CREATE ROLE plain_reader; SET LOCAL ROLE plain_reader; SELECT * FROM pg_control_system(); \
                               SELECT pg_walfile_name(pg_current_wal_lsn()); RESET ROLE; DROP ROLE plain_reader"))
        .await
        .unwrap();
}
