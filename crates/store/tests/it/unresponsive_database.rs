//! A database that is silent, locked, or returns: every call ends in time, and calls work again without a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use store::testing::{TestDatabase, TestServer, run_sql};
use store::{DatabaseUrl, Dialect, Store, StoreError, StoreOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;

use crate::fixture::NOW;

const TIMEOUT: Duration = Duration::from_secs(1);
/// The timeout of a call plus an allowance for a busy machine.
const IN_TIME: Duration = Duration::from_secs(4);

async fn store(url: &DatabaseUrl) -> Store {
    let options = StoreOptions {
        readers: 3,
        timeout: TIMEOUT,
        ..StoreOptions::default()
    };
    Store::open(url, options).await.unwrap()
}

async fn write(store: &Store, name: &str) -> Result<(), StoreError> {
    let name = name.parse().unwrap();
    store
        .write(move |c| store::environments::ensure(c, &name, NOW).map(drop))
        .await
}

/// Fails unless many concurrent calls fail in time and leave no threads behind.
async fn all_fail_in_time(store: &Store) {
    let began = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..100 {
        let store = store.clone();
        calls.spawn(async move {
            if number % 2 == 0 {
                store.read(store::environments::list).await.map(drop)
            } else {
                write(&store, "late").await
            }
        });
    }
    while let Some(ended) = calls.join_next().await {
        let error = ended.unwrap().unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }
    assert!(began.elapsed() < IN_TIME, "{:?}", began.elapsed());
    let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
    assert!(threads < 100, "{threads} threads");
}

/// Waits until the database is usable again, for a few seconds.
async fn works_again(store: &Store) {
    let began = Instant::now();
    loop {
        match write(store, "again").await {
            Ok(()) => return,
            Err(StoreError::Unavailable(_) | StoreError::Busy(_))
                if began.elapsed() < Duration::from_secs(20) => {}
            Err(error) => panic!("after {:?}: {error:?}", began.elapsed()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_server_causes_errors_in_time_and_none_afterwards() {
    let Some(server) = TestServer::start() else { return };
    let database = server.database();
    let store = store(&database.url).await;
    write(&store, "before").await.unwrap();

    server.suspend();
    all_fail_in_time(&store).await;
    all_fail_in_time(&store).await;
    server.resume();

    works_again(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_is_used_again_once_it_is_back() {
    let Some(server) = TestServer::start() else { return };
    let database = server.database();
    let store = store(&database.url).await;
    write(&store, "before").await.unwrap();

    server.kill();
    all_fail_in_time(&store).await;
    server.start_again();

    works_again(&store).await;
    let names = store.read(store::environments::list).await.unwrap();
    assert!(names.iter().any(|row| row.name.as_str() == "before"));
}

/// Forwards bytes to a server until the mode changes to `Swallow`.
struct Proxy {
    port: u16,
    mode: watch::Sender<Mode>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Forward,
    /// Existing connections stay silent forever; new ones until the mode changes.
    Swallow,
}

impl Proxy {
    async fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mode, watched) = watch::channel(Mode::Forward);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let mut mode = watched.clone();
                tokio::spawn(async move {
                    let swallowing = *mode.borrow() == Mode::Swallow;
                    let forward = async {
                        if swallowing {
                            std::future::pending::<()>().await;
                        }
                        tokio::join!(
                            copy(&mut from_client, &mut to_server),
                            copy(&mut from_server, &mut to_client)
                        );
                    };
                    tokio::select! {
                        () = forward => return,
                        _ = mode.wait_for(|mode| *mode == Mode::Swallow), if !swallowing => {}
                    }
                    // Both ends stay open, and nothing is read.
                    std::future::pending::<()>().await;
                });
            }
        });
        Self { port, mode }
    }
}

async fn copy(from: &mut (impl AsyncReadExt + Unpin), to: &mut (impl AsyncWriteExt + Unpin)) {
    let mut bytes = [0; 8192];
    while let Ok(read) = from.read(&mut bytes).await {
        if read == 0 || to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_a_network_drops_silently_are_replaced() {
    let Some(server) = TestServer::start() else { return };
    let database = server.database();
    let proxy = Proxy::to(server.socket()).await;
    let name = database.address();
    let name = name
        .split("localhost/")
        .nth(1)
        .unwrap()
        .split('?')
        .next()
        .unwrap();
    let url = format!("postgres://trunkline@127.0.0.1:{}/{name}", proxy.port)
        .parse()
        .unwrap();
    let store = store(&url).await;
    // All connections are open and in use when the proxy goes silent.
    let held = Arc::new(std::sync::Barrier::new(4));
    let opened: Vec<_> = (0..3)
        .map(|_| {
            let (store, held) = (store.clone(), Arc::clone(&held));
            tokio::spawn(async move {
                store
                    .read(move |c| {
                        held.wait();
                        run_sql(c, "SELECT 1")
                    })
                    .await
            })
        })
        .collect();
    tokio::task::spawn_blocking(move || held.wait()).await.unwrap();
    for call in opened {
        call.await.unwrap().unwrap();
    }

    proxy.mode.send(Mode::Swallow).unwrap();
    all_fail_in_time(&store).await;
    proxy.mode.send(Mode::Forward).unwrap();

    works_again(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_store_closes_idle_connections_while_a_call_runs() {
    let Some(database) = TestDatabase::new(Dialect::Postgres).await else {
        return;
    };
    let store = store(&database.url).await;
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (started, is_started) = tokio::sync::oneshot::channel();
    let running = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .read(move |_| {
                    started.send(()).unwrap();
                    let _: Result<(), _> = released.recv();
                    Ok(())
                })
                .await
        }
    });
    is_started.await.unwrap();
    write(&store, "idle").await.unwrap();

    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    drop(store);

    // One connection of the call that runs, and one of the observer. The statement fails if there are more.
    let at_most_two =
        "SELECT 1 / (count(*) <= 2)::int FROM pg_stat_activity WHERE datname = current_database()";
    let observer = database.store().await;
    let began = Instant::now();
    while let Err(error) = observer.read(|c| run_sql(c, at_most_two)).await {
        assert!(began.elapsed() < Duration::from_secs(20), "{error:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(release);
}

/// Holds SQLite's write lock like another process: with a connection that the store does not know.
async fn locked(path: &Path) -> impl FnOnce() {
    let url: DatabaseUrl = format!("sqlite://{}", path.display()).parse().unwrap();
    let other = Store::open(&url, StoreOptions::default()).await.unwrap();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (locked, is_locked) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let hold = other.maintain(move |c| {
            run_sql(c, "UPDATE environments SET created_at = created_at")?;
            locked.send(()).unwrap();
            let _: Result<(), _> = released.recv();
            Ok(())
        });
        hold.await.unwrap();
    });
    is_locked.await.unwrap();
    move || drop(release)
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_a_locked_file_fail_in_time_while_readers_continue() {
    let database = TestDatabase::new(Dialect::Sqlite).await.unwrap();
    let store = store(&database.url).await;
    write(&store, "before").await.unwrap();
    let release = locked(database.url.sqlite_path().unwrap()).await;

    let began = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        calls.spawn(async move { write(&store, "late").await });
    }
    store.read(store::environments::list).await.unwrap();
    assert!(
        store.pending_migrations().await.unwrap().is_empty(),
        "reading takes no lock"
    );
    assert!(began.elapsed() < TIMEOUT, "readers do not wait");
    let not_ready = store.ping().await.unwrap_err();
    assert!(not_ready.is_transient(), "{not_ready:?}");
    while let Some(ended) = calls.join_next().await {
        let error = ended.unwrap().unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }
    assert!(began.elapsed() < IN_TIME, "{:?}", began.elapsed());

    release();
    works_again(&store).await;
    store.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn checking_that_a_file_is_writable_writes_nothing() {
    let database = TestDatabase::new(Dialect::Sqlite).await.unwrap();
    let store = store(&database.url).await;
    let log = database.url.sqlite_path().unwrap().with_extension("db-wal");
    let before = (
        std::fs::read(database.url.sqlite_path().unwrap()).unwrap(),
        std::fs::read(&log).ok(),
    );

    store.ping().await.unwrap();

    let after = (
        std::fs::read(database.url.sqlite_path().unwrap()).unwrap(),
        std::fs::read(&log).ok(),
    );
    assert!(before == after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_migration_is_not_cut_off() {
    let Some(database) = TestDatabase::new(Dialect::Postgres).await else {
        return;
    };
    let store = store(&database.url).await;
    // More than three times the limit of a call.
    store
        .maintain(|c| run_sql(c, "SELECT pg_sleep(4)"))
        .await
        .unwrap();
    let error = store
        .write_long(|c| run_sql(c, "SELECT pg_sleep(30)"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::Busy(_) | StoreError::Unavailable(_)),
        "{error:?}"
    );
}
