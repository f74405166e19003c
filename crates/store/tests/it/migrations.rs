//! Migrations are the same in both databases and can be reverted.

use store::testing::{TestDatabase, describe_tables, revert_last_migration, run_sql};
use store::{Dialect, StoreError};
use testkit_macros::on_both_databases;

#[tokio::test]
async fn both_databases_end_with_the_same_tables_and_every_foreign_key_is_indexed() {
    let mut seen = Vec::new();
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let Some(database) = TestDatabase::new(dialect).await else {
            continue;
        };
        let lines = database.store().await.read(describe_tables).await.unwrap();
        for line in lines.iter().filter_map(|line| line.strip_prefix("foreign ")) {
            assert!(
                lines.contains(&format!("index {line}")),
                "{dialect:?}: no index for {line}"
            );
        }
        assert!(
            lines.iter().any(|line| line == "column connections.problem"),
            "{lines:#?}"
        );
        seen.push(lines);
    }
    for other in seen.iter().skip(1) {
        assert_eq!(&seen[0], other);
    }
}

#[on_both_databases]
async fn migrating_up_down_and_up_ends_with_the_same_tables(dialect: Dialect) {
    let Some(database) = TestDatabase::empty(dialect) else {
        return;
    };
    let store = database.store().await;
    let pending = store.pending_migrations().await.unwrap();
    assert_eq!(store.migrate().await.unwrap(), pending);
    let before = store.read(describe_tables).await.unwrap();

    for _ in &pending {
        store.write(revert_last_migration).await.unwrap();
    }
    assert_eq!(store.read(describe_tables).await.unwrap(), Vec::<String>::new());
    store.migrate().await.unwrap();

    assert_eq!(store.read(describe_tables).await.unwrap(), before);
    assert!(store.pending_migrations().await.unwrap().is_empty());
}

#[on_both_databases]
async fn many_processes_may_migrate_at_once(dialect: Dialect) {
    let Some(database) = TestDatabase::empty(dialect) else {
        return;
    };
    // To the database, separate stores are like separate processes.
    let stores = [
        database.store().await,
        database.store().await,
        database.store().await,
    ];
    let [a, b, c] = &stores;
    let (a, b, c) = tokio::join!(a.migrate(), b.migrate(), c.migrate());
    let applied = [a.unwrap(), b.unwrap(), c.unwrap()];
    assert_eq!(
        applied.iter().filter(|names| !names.is_empty()).count(),
        1,
        "{applied:?}"
    );
}

#[on_both_databases]
async fn a_database_of_a_newer_version_is_refused_and_unchanged(database: TestDatabase) {
    let store = database.store().await;
    store
        .write(|c| {
            run_sql(
                c,
                "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')",
            )
        })
        .await
        .unwrap();
    let refusals = [store.migrate().await, store.pending_migrations().await];
    for refused in refusals {
        let error = refused.unwrap_err();
        assert!(
            matches!(&error, StoreError::Refused(text) if text.contains("newer version") && text.contains("9999")),
            "{error:?}"
        );
    }
}

#[on_both_databases]
async fn asking_for_pending_migrations_writes_nothing(dialect: Dialect) {
    let Some(database) = TestDatabase::empty(dialect) else {
        return;
    };
    let store = database.store().await;
    assert!(!store.pending_migrations().await.unwrap().is_empty());
    let made = store.read(|c| run_sql(c, "SELECT version FROM __diesel_schema_migrations"));
    assert!(made.await.is_err(), "the table of migrations was made");
}
