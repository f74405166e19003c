//! Tables of variants are created with the first connection that has one, and dropped with the last.

use domain::{ConnectionId, Variant};
use store::syncs::{self, NewSync};
use store::testing::{describe_tables, run_sql};
use store::{DbConn, Dialect, Store, StoreError, tables};
use testkit_macros::on_both_databases;

use crate::fixture::{Fixture, NOW, model, name};

fn eu() -> Variant {
    "eu".parse().unwrap()
}

fn make(c: &mut DbConn, connection: ConnectionId) -> Result<(), StoreError> {
    tables::ensure(c, &model().of_variant(&eu()))?;
    let new = NewSync {
        connection,
        name: "test-messages".parse().unwrap(),
        variant: eu(),
        paused: false,
        due_at: None,
    };
    syncs::ensure(c, &new, NOW).map(drop)
}

fn delete(c: &mut DbConn, connection: ConnectionId) -> Result<(), StoreError> {
    tables::lock(c)?;
    let sync = "test-messages".parse().unwrap();
    if let Some(row) = syncs::get(c, connection, &sync, &eu())? {
        syncs::delete(c, row.id)?;
    }
    let table = model().of_variant(&eu()).table;
    tables::drop_unused(c, &"twilio".parse().unwrap(), &sync, &eu(), &table)
}

async fn has_table(store: &Store, table: &str) -> bool {
    let lines = store.read(describe_tables).await.unwrap();
    lines.contains(&format!("column {table}.sid not null"))
}

#[on_both_databases]
async fn the_table_of_a_variant_is_dropped_with_its_last_connection(fixture: Fixture) {
    let (one, two) = (fixture.connection("c1").await, fixture.connection("c2").await);
    for connection in [one, two] {
        fixture.store.write(move |c| make(c, connection)).await.unwrap();
    }
    fixture.store.write(move |c| delete(c, one)).await.unwrap();
    assert!(has_table(&fixture.store, "test_messages__eu").await);
    fixture.store.write(move |c| delete(c, two)).await.unwrap();
    assert!(!has_table(&fixture.store, "test_messages__eu").await);
}

#[on_both_databases]
async fn a_variant_that_is_created_while_another_is_dropped_has_its_table(fixture: Fixture) {
    let other = fixture.database.store().await;
    let (one, two) = (fixture.connection("c1").await, fixture.connection("c2").await);
    for _ in 0..10 {
        fixture.store.write(move |c| make(c, one)).await.unwrap();
        let (gone, made) = tokio::join!(
            fixture.store.write(move |c| delete(c, one)),
            other.write(move |c| make(c, two))
        );
        gone.unwrap();
        made.unwrap();
        assert!(has_table(&other, "test_messages__eu").await);
        other.write(move |c| delete(c, two)).await.unwrap();
        assert!(!has_table(&other, "test_messages__eu").await);
    }
}

#[on_both_databases]
async fn a_start_drops_tables_of_deleted_variants_and_nothing_else(fixture: Fixture) {
    let connection = fixture.connection("c1").await;
    let table = |variant: &str| model().of_variant(&variant.parse().unwrap());
    let (left, filled) = (table("left"), table("filled"));
    let mut own = model();
    own.table = name("test_messages__own");
    let dropped = fixture.store.write(move |c| {
        tables::ensure(c, &model())?;
        make(c, connection)?;
        tables::ensure(c, &left)?;
        tables::ensure(c, &filled)?;
        tables::ensure(c, &own)?;
        let moment = if c.dialect() == Dialect::Sqlite { "1" } else { "now()" };
        run_sql(
            c,
            &format!(
                "INSERT INTO test_messages__filled (sid, \"_connection_id\", \"_hash\", \"_cursor\", \"_first_seen_at\", \
                 \"_last_modified_at\") VALUES ('m', 1, 1, 1, {moment}, {moment}); CREATE TABLE test_messages__backup (sid TEXT NOT NULL)"
            ),
        )?;
        let (provider, sync) = ("twilio".parse().unwrap(), "test-messages".parse().unwrap());
        tables::drop_orphans(c, &provider, &sync, &model(), &[own.table.clone()])
    });
    assert_eq!(dropped.await.unwrap(), ["test_messages__left"]);
    for kept in ["", "__eu", "__filled", "__own", "__backup"] {
        assert!(
            has_table(&fixture.store, &format!("test_messages{kept}")).await,
            "{kept}"
        );
    }
}
