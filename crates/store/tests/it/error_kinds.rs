//! How errors of PostgreSQL are classified by state and code, and what changes of the server's settings do.

use std::sync::{Arc, Barrier};

use store::testing::{TestDatabase, TestServer, run_sql};
use store::{Dialect, Store, StoreError};

use crate::fixture::NOW;

async fn postgres() -> Option<(TestDatabase, Store)> {
    let database = TestDatabase::new(Dialect::Postgres).await?;
    let store = filled(&database).await;
    Some((database, store))
}

async fn filled(database: &TestDatabase) -> Store {
    let store = database.store().await;
    store
        .write(|c| {
            store::environments::ensure(c, &"a".parse().unwrap(), NOW)?;
            store::environments::ensure(c, &"b".parse().unwrap(), NOW).map(drop)
        })
        .await
        .unwrap();
    store
}

fn touch(name: &str) -> String {
    format!("UPDATE environments SET created_at = created_at WHERE name = '{name}'")
}

/// Sets a parameter of the database for new connections.
fn of_database(setting: &str) -> String {
    format!("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I {setting}', current_database()); END $$")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_deadlocked_transactions_is_busy_and_succeeds_when_retried() {
    let Some((_database, store)) = postgres().await else {
        return;
    };
    deadlock(store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_classified_in_any_language_of_the_server() {
    let Some(server) = TestServer::start_in_german() else {
        return;
    };
    let database = server.database();
    deadlock(filled(&database).await).await;
    let pooled = store::StoreOptions {
        pooler: true,
        ..store::StoreOptions::default()
    };
    let store = Store::open(&database.url, pooled).await.unwrap();
    let refused = store.read(|c| run_sql(c, "SELECT 1/0")).await.unwrap_err();
    let StoreError::Query(cause) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(cause.to_string(), "division by zero");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_superuser_rights_sets_the_language_once_it_is_granted() {
    let Some(server) = TestServer::start_in_german() else {
        return;
    };
    let database = server.database();
    let owner = filled(&database).await;
    let of_a_superuser = run_sql_in(&database.address(), ENGLISH).await;
    assert!(of_a_superuser.is_ok(), "{of_a_superuser:?}");
    let rights = "CREATE ROLE app LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO app; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app";
    owner.write(move |c| run_sql(c, rights)).await.unwrap();
    let of_app = database.address().replacen("trunkline@", "app@", 1);
    assert!(run_sql_in(&of_app, ENGLISH).await.is_err(), "it was not granted");

    // See docs/operate.md.
    let grant = "GRANT SET ON PARAMETER lc_messages TO app";
    owner.write(move |c| run_sql(c, grant)).await.unwrap();

    let granted = run_sql_in(&of_app, ENGLISH).await;
    assert!(granted.is_ok(), "{granted:?}");
}

/// Fails unless the session's messages are in English.
const ENGLISH: &str = "DO $$ BEGIN IF current_setting('lc_messages') <> 'C' THEN RAISE EXCEPTION 'another language'; END IF; END $$";

/// Runs statements in a new session of the role in the URL.
async fn run_sql_in(address: &str, sql: &'static str) -> Result<(), StoreError> {
    let store = Store::open(&address.parse().unwrap(), store::StoreOptions::default()).await?;
    store.read(move |c| run_sql(c, sql)).await
}

async fn deadlock(store: Store) {
    let both_hold_one = Arc::new(Barrier::new(2));
    let transaction = |first: &'static str, second: &'static str| {
        let (store, both) = (store.clone(), Arc::clone(&both_hold_one));
        tokio::spawn(async move {
            let body = move |c: &mut store::DbConn| {
                run_sql(c, &touch(first))?;
                both.wait();
                run_sql(c, &touch(second))
            };
            store.write(body).await
        })
    };
    let (one, other) = (transaction("a", "b"), transaction("b", "a"));
    let ended = [one.await.unwrap(), other.await.unwrap()];

    assert_eq!(ended.iter().filter(|ended| ended.is_ok()).count(), 1, "{ended:?}");
    assert!(
        ended
            .iter()
            .any(|ended| matches!(ended, Err(StoreError::Busy(_)))),
        "{ended:?}"
    );
    store.write(|c| run_sql(c, &touch("a"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_ends_is_unavailable_and_the_next_call_works() {
    let Some((_database, store)) = postgres().await else {
        return;
    };
    for write in [true, false] {
        let end_own = |c: &mut store::DbConn| run_sql(c, "SELECT pg_terminate_backend(pg_backend_pid())");
        let ended = if write {
            store.write(end_own).await
        } else {
            store.read(end_own).await
        };
        assert!(matches!(ended, Err(StoreError::Unavailable(_))), "{ended:?}");
        store.ping().await.unwrap();
    }
    let other = store.clone();
    let between = store.write(move |c| {
        run_sql(c, &touch("a"))?;
        // Another session does this between two statements of the transaction, so the commit fails.
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'";
        futures_block(async move { other.read(move |c| run_sql(c, end)).await });
        Ok(())
    });
    let ended = between.await;
    assert!(matches!(ended, Err(StoreError::Unavailable(_))), "{ended:?}");
}

/// Waits on a thread of the store, which belongs to no runtime.
fn futures_block<T: Send + 'static>(
    future: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_server_is_busy_until_a_writable_one_is_found() {
    let Some((database, store)) = postgres().await else {
        return;
    };
    let other = database.store().await;
    other
        .write(|c| run_sql(c, &of_database("SET default_transaction_read_only = on")))
        .await
        .unwrap();
    let fresh = database.store().await;
    let refused = fresh.write(|c| run_sql(c, &touch("a"))).await;
    assert!(matches!(refused, Err(StoreError::Busy(_))), "{refused:?}");
    assert!(
        matches!(fresh.ping().await, Err(StoreError::Busy(_))),
        "it is not ready"
    );
    fresh.read(store::environments::list).await.unwrap();

    store
        .write(|c| run_sql(c, &of_database("RESET default_transaction_read_only")))
        .await
        .unwrap();
    drop(fresh.write(|c| run_sql(c, &touch("a"))).await);
    fresh.write(|c| run_sql(c, &touch("a"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_statement_is_not_an_outage() {
    let Some((_database, store)) = postgres().await else {
        return;
    };
    for sql in ["SELECT 1/0", "SELECT nothing", "SELECT 'deadlock detected'::int"] {
        let refused = store.write(move |c| run_sql(c, sql)).await;
        assert!(matches!(refused, Err(StoreError::Query(_))), "{sql}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_lists_connections_by_name_unless_the_url_names_them() {
    let Some((database, _store)) = postgres().await else {
        return;
    };
    let named = |more: &'static str| {
        let url = format!("{}{more}", database.address()).parse().unwrap();
        let options = store::StoreOptions {
            application_name: "trunkline serve here:7".to_owned(),
            ..store::StoreOptions::default()
        };
        async move { Store::open(&url, options).await.unwrap() }
    };
    for (more, expected) in [("", "trunkline serve here:7"), ("&application_name=mine", "mine")] {
        let store = named(more).await;
        let check = format!(
            "DO $$ BEGIN IF current_setting('application_name') <> '{expected}' THEN RAISE '%', current_setting('application_name'); END IF; END $$"
        );
        store.write(move |c| run_sql(c, &check)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_of_several_hosts_is_used_if_the_first_is_unreachable() {
    let Some((database, _store)) = postgres().await else {
        return;
    };
    let url = database
        .address()
        .replacen("?host=", "?target_session_attrs=read-write&host=/nowhere,", 1);
    let store = Store::open(&url.parse().unwrap(), store::StoreOptions::default())
        .await
        .unwrap();
    store.ping().await.unwrap();
}
