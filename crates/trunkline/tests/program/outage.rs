//! `serve` and `worker` while the database is silent: requests fail in time, work continues afterwards, and a stop always works.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use store::testing::{TestServer, run_sql, waits_for_lock};
use testkit::wait_until;

use crate::process::{Running, Sandbox};

const KEY: &str = "11111111-1111-4111-8111-111111111111";
/// A request makes few database calls of at most one second; the rest is for a busy machine.
const IN_TIME: Duration = Duration::from_secs(5);
/// A drain of one second and the stop after it; the rest is for a busy machine.
const ENDED: Duration = Duration::from_secs(12);

fn sandbox(server: &TestServer) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set("TRUNKLINE_DATABASE__URL", &server.database().address());
    sandbox.set("TRUNKLINE_DATABASE__TIMEOUT_SECONDS", "1");
    sandbox.set("TRUNKLINE_DATABASE__CONNECTIONS", "4");
    sandbox.set("TRUNKLINE_WORKER__DRAIN_SECONDS", "1");
    sandbox.set("TRUNKLINE_WORKER__POLL_MS", "100");
    sandbox.set("TRUNKLINE_SECRET_KEY", KEY);
    sandbox.set(
        "TRUNKLINE_ENCRYPTION_KEY",
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    );
    sandbox
}

/// Returns status and head of a response; fails if it does not come in time.
fn get(url: &str, path: &str) -> (u16, String) {
    let began = Instant::now();
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(IN_TIME)).unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(began.elapsed() < IN_TIME, "{path} took {:?}", began.elapsed());
    let status = response.split(' ').nth(1).unwrap().parse().unwrap();
    (status, response.to_ascii_lowercase())
}

fn lines(running: &Running, text: &str) -> usize {
    running.seen.iter().filter(|line| line.contains(text)).count()
}

fn terminate(server: &TestServer, running: Running) -> Vec<String> {
    server.suspend();
    let began = Instant::now();
    let (_, log) = running.signal("TERM");
    assert!(
        began.elapsed() < ENDED,
        "ended after {:?}: {log:#?}",
        began.elapsed()
    );
    server.resume();
    log
}

#[test]
fn a_server_responds_503_in_time_while_its_database_is_silent_and_recovers() {
    let Some(server) = TestServer::start() else { return };
    let sandbox = sandbox(&server);
    let mut running = sandbox.start(&["serve", "--no-worker", "--listen", "127.0.0.1:0"]);
    let url = running.url();
    assert_eq!(get(&url, "/ready").0, 200);
    assert_eq!(get(&url, "/connections").0, 200);

    server.suspend();
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                let (status, response) = get(&url, "/connections");
                assert_eq!(status, 503, "{response}");
                assert!(response.contains("retry-after: "), "{response}");
            });
        }
        scope.spawn(|| assert_eq!(get(&url, "/health").0, 200));
        scope.spawn(|| assert_eq!(get(&url, "/openapi.json").0, 200));
    });
    let (status, response) = get(&url, "/ready");
    assert_eq!(status, 503, "{response}");
    assert!(response.contains("retry-after: "), "{response}");
    server.resume();

    let resumed = Instant::now();
    while get(&url, "/ready").0 != 200 || get(&url, "/connections").0 != 200 {
        assert!(
            resumed.elapsed() < Duration::from_secs(20),
            "the server does not recover"
        );
    }
    running.wait_for("responds again");
    assert_eq!(lines(&running, "does not respond"), 1, "{:#?}", running.seen);
    assert_eq!(lines(&running, "\"level\":\"ERROR\""), 1, "{:#?}", running.seen);
    terminate(&server, running);
}

#[test]
fn a_worker_waits_for_a_silent_database_and_ends_on_a_signal() {
    let Some(server) = TestServer::start() else { return };
    let sandbox = sandbox(&server);
    let mut running = sandbox.start(&["worker"]);
    server.suspend();
    running.wait_for("does not respond");
    server.resume();
    running.wait_for("responds again");
    assert_eq!(lines(&running, "does not respond"), 1, "{:#?}", running.seen);
    terminate(&server, running);
}

#[test]
fn a_second_signal_ends_a_process_at_once() {
    let Some(server) = TestServer::start() else { return };
    let mut sandbox = sandbox(&server);
    sandbox.set("TRUNKLINE_WORKER__DRAIN_SECONDS", "600");
    sandbox.set("TRUNKLINE_DATABASE__TIMEOUT_SECONDS", "600");
    let database = server.database();
    sandbox.set("TRUNKLINE_DATABASE__URL", &database.address());
    let mut running = sandbox.start(&["worker"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(database.store());
    let (locked, is_locked) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let locking = store.clone();
    runtime.spawn(async move {
        let lock = locking.maintain(move |c| {
            run_sql(c, "LOCK TABLE schedule IN ACCESS EXCLUSIVE MODE")?;
            locked.send(()).unwrap();
            let _: Result<(), _> = released.recv();
            Ok(())
        });
        lock.await
    });
    is_locked.recv().unwrap();
    let waits = wait_until("the worker waits for the lock", async || {
        store.read(waits_for_lock).await.unwrap()
    });
    runtime.block_on(waits);
    running.send("TERM");
    running.wait_for("stopping");
    let began = Instant::now();
    let (status, log) = running.signal("TERM");
    drop(release);
    assert!(began.elapsed() < IN_TIME, "{log:#?}");
    assert_eq!(status.code(), Some(1), "{log:#?}");
}

#[test]
fn a_start_warns_if_processes_may_open_more_connections_than_the_server_allows() {
    let Some(server) = TestServer::start() else {
        return;
    };
    let mut sandbox = sandbox(&server);
    let warned = |running: &Running| lines(running, "raise max_connections");
    let serve = ["serve", "--no-worker", "--listen", "127.0.0.1:0"];
    let first = sandbox.start(&serve);
    assert_eq!(warned(&first), 0, "{:#?}", first.seen);
    // Two processes with 250 connections each exceed the 397 that the server has for roles without superuser rights.
    sandbox.set("TRUNKLINE_DATABASE__CONNECTIONS", "250");
    let second = sandbox.start(&serve);
    assert_eq!(warned(&second), 1, "{:#?}", second.seen);
    first.signal("TERM");
    second.signal("TERM");
}
