//! Opening, transactions, and the error if the database is unreachable.

use store::testing::TestDatabase;
use store::{DatabaseUrl, Dialect, Store, StoreError, StoreOptions};
use testkit_macros::on_both_databases;

use crate::fixture::{Fixture, NOW};

#[tokio::test]
async fn a_missing_server_is_unavailable_and_the_message_holds_no_password() {
    let url: DatabaseUrl = "postgres://me:hunter2@127.0.0.1:1/nothing".parse().unwrap();
    let error = Store::open(&url, StoreOptions::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)));
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let database = TestDatabase::new(Dialect::Sqlite).await.unwrap();
    for file in std::fs::read_dir(database.url.sqlite_path().unwrap().parent().unwrap()).unwrap() {
        assert_eq!(
            file.unwrap().metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

#[on_both_databases]
async fn an_error_rolls_the_transaction_back(fixture: Fixture) {
    let result = fixture.store.write(|c| {
        store::environments::ensure(c, &"gone".parse().unwrap(), NOW)?;
        Err::<(), _>(StoreError::LeaseLost)
    });
    assert!(matches!(result.await, Err(StoreError::LeaseLost)));
    assert!(
        fixture
            .store
            .read(store::environments::list)
            .await
            .unwrap()
            .is_empty()
    );
    fixture.store.ping().await.unwrap();
}

#[on_both_databases]
async fn a_panic_in_a_transaction_rolls_it_back_and_the_next_one_works(fixture: Fixture) {
    let store = fixture.store.clone();
    let task = tokio::spawn(async move {
        let body = |c: &mut store::DbConn| -> Result<(), StoreError> {
            store::environments::ensure(c, &"gone".parse().unwrap(), NOW)?;
            panic!("on purpose")
        };
        store.write(body).await
    });
    assert!(task.await.is_err());
    fixture.environment("kept").await;
    let names: Vec<_> = fixture
        .store
        .read(store::environments::list)
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.name)
        .collect();
    assert_eq!(names, ["kept".parse().unwrap()]);
}

#[tokio::test]
async fn a_reader_of_sqlite_cannot_write() {
    let fixture = Fixture::new(Dialect::Sqlite).await.unwrap();
    let result = fixture
        .store
        .read(|c| store::environments::ensure(c, &"x".parse().unwrap(), NOW))
        .await;
    assert!(matches!(result, Err(StoreError::Query(_))), "{result:?}");
}

#[on_both_databases]
async fn many_concurrent_writers_and_readers_all_succeed(fixture: Fixture) {
    // Another store on the same database acts like another process.
    let other = fixture.database.store().await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..60 {
        let store = if number % 2 == 0 {
            fixture.store.clone()
        } else {
            other.clone()
        };
        tasks.spawn(async move {
            let name = format!("e{number}").parse().unwrap();
            store
                .write(move |c| store::environments::ensure(c, &name, NOW))
                .await?;
            store.read(store::environments::list).await
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap().unwrap();
    }
    assert_eq!(
        fixture.store.read(store::environments::list).await.unwrap().len(),
        60
    );
}
