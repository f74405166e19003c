//! `kill -9` during backfills.

use std::io::Write;

use gateway::syncs;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value as Json, json};
use store::schedule;
use testkit::{AppBuilder, Dialect, TestApp, assert_table_equals_truth, wait_until};

use crate::processes::{Process, SECRET_KEY, Sandbox, small_pages};

/// The seed of a test, printed if it fails, so that it can be repeated.
pub(crate) struct Seed(pub(crate) u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "the seed was {}", self.0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_of_two_workers_on_postgres_neither_lose_nor_duplicate_rows() {
    let Some(app) = of(25_000).start(Dialect::Postgres).await else {
        return;
    };
    let names = connect(&app).await;
    let mut sandbox = Sandbox::new(&app);
    survive(&app, &names, &mut sandbox, &[&["worker"], &["worker"]], 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_on_sqlite_neither_lose_nor_duplicate_rows_and_leave_no_secret() {
    let Some(app) = of(12_000).start(Dialect::Sqlite).await else {
        return;
    };
    let names = connect(&app).await;
    let mut sandbox = Sandbox::new(&app);
    let responses = survive(
        &app,
        &names,
        &mut sandbox,
        &[&["serve", "--listen", "127.0.0.1:0"]],
        20,
    )
    .await;
    assert_no_secret(&app, &sandbox.logs(), &responses);
}

pub(crate) fn of(messages: u64) -> AppBuilder {
    AppBuilder::default()
        .twilio_file(small_pages)
        .simulator(|config| {
            config.messages = messages;
            config.faults.latency_ms = 10;
        })
        .system_clock()
}

/// Makes four connections, one of them with the auth token.
async fn connect(app: &TestApp) -> Vec<String> {
    let known = app.simulator().credentials();
    let token =
        json!({ "connectionId": "by-token", "accountSid": known.account_sid, "authToken": known.auth_token });
    app.admin().post("/twilio/connect", &token).await.expect(201);
    let mut names = vec!["by-token".to_owned()];
    for name in ["one", "two", "three"] {
        names.push(app.connect_as(app.admin(), name).await);
    }
    names
}

/// Kills processes during backfills and restarts them at once; in the end the tables must be correct.
/// Returns the responses of the last process that serves the API.
async fn survive(
    app: &TestApp,
    names: &[String],
    sandbox: &mut Sandbox,
    commands: &[&[&str]],
    kills: u64,
) -> String {
    let seed = Seed(rand::random());
    let mut dice = StdRng::seed_from_u64(seed.0);
    let mut processes: Vec<Process> = commands.iter().map(|command| sandbox.start(command)).collect();
    for kill in 0..kills {
        let more = dice.random_range(1..=16);
        app.simulator().reset_requests();
        wait_until("pages are read", async || {
            app.simulator().requests().total >= more
        })
        .await;
        let mut alive = Vec::new();
        wait_until("a process holds a sync", async || {
            let holders = holders(app).await;
            alive = (0..processes.len())
                .filter(|&index| processes[index].is_among(&holders))
                .collect();
            !alive.is_empty()
        })
        .await;
        let victim = alive[dice.random_range(0..alive.len())];
        processes.swap_remove(victim).kill();
        let reading = runs(app)
            .await
            .iter()
            .filter(|run| run["kind"] == "backfill" && run["status"] == "running")
            .count();
        assert!(reading > 0, "first readings were over before kill {kill}");
        // All commands are the same.
        processes.push(sandbox.start(commands[0]));
    }

    wait_until("everything is read", async || {
        let runs = runs(app).await;
        runs.len() == 2 * names.len() && runs.iter().all(|run| run["status"] == "succeeded")
    })
    .await;
    for name in names {
        assert_table_equals_truth(app, name).await;
        let sum = |count: &str, runs: &[Json]| -> u64 {
            let of_name = runs.iter().filter(|run| run["connection_id"] == name.as_str());
            of_name.map(|run| run[count].as_u64().unwrap()).sum()
        };
        let runs = runs(app).await;
        assert_eq!(sum("added", &runs), app.simulator().live_count());
        assert_eq!(
            sum("updated", &runs) + sum("deleted", &runs),
            0,
            "the provider did not change"
        );
    }
    let resumed: u64 = runs(app)
        .await
        .iter()
        .map(|run| run["resumed"].as_u64().unwrap())
        .sum();
    assert!(resumed >= kills, "every kill cut a run off: {resumed}");
    match processes[0].logged("url") {
        Some(url) => responses(&url).await,
        None => String::new(),
    }
}

async fn runs(app: &TestApp) -> Vec<Json> {
    let listed = app.admin().get("/sync/runs?limit=1000").await.expect(200);
    listed.json()["runs"].as_array().unwrap().clone()
}

/// Returns the lease holders of all syncs, including dead ones.
async fn holders(app: &TestApp) -> Vec<String> {
    let caller = app.caller().await;
    let all = gateway::SyncSelection {
        integration: "twilio".to_owned(),
        connection: None,
        syncs: Vec::new(),
    };
    let syncs = syncs::status(app.gateway(), &caller, &all).await.unwrap();
    let read = app.store().read(move |c| {
        let states = syncs.iter().map(|status| schedule::state(c, status.sync.id));
        states.collect::<Result<Vec<_>, _>>()
    });
    read.await
        .unwrap()
        .into_iter()
        .filter_map(|state| state.holder)
        .collect()
}

/// Returns the responses of a process about its connections and their rows.
async fn responses(url: &str) -> String {
    drop(rustls::crypto::ring::default_provider().install_default());
    let http = reqwest::Client::builder().build().unwrap();
    let mut responses = String::new();
    for path in [
        "/connections",
        // Only a single connection shows its credentials, to keys with the scope.
        "/integrations/twilio",
        "/sync/runs",
        "/twilio/messages?connectionId=by-token",
        "/openapi.json",
    ] {
        let request = http.get(format!("{url}{path}")).bearer_auth(SECRET_KEY);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        for (name, value) in response.headers() {
            responses.extend([name.as_str(), ": ", value.to_str().unwrap(), "\n"]);
        }
        responses.push_str(&response.text().await.unwrap());
    }
    responses
}

/// Fails if the database's files, a log or a response holds a secret.
fn assert_no_secret(app: &TestApp, logs: &str, responses: &str) {
    let known = app.simulator().credentials();
    let secrets = [
        known.auth_token.as_str(),
        &known.main_key_secret,
        app.admin().key().unwrap(),
        SECRET_KEY,
    ];
    let folder = app.database().url.sqlite_path().unwrap().parent().unwrap();
    let mut missing_database: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read(path).unwrap()))
        .collect();
    assert!(missing_database.len() > 1, "the write-ahead log is there too");
    assert!(logs.contains("sent a request to a provider") && responses.contains("by-token"));
    missing_database.push(("the logs".to_owned(), logs.into()));
    missing_database.push(("the answers".to_owned(), responses.into()));
    missing_database.push((
        "responses of the test's own API".to_owned(),
        app.responses().into_bytes(),
    ));
    for (name, bytes) in missing_database {
        for secret in secrets {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "{name} holds a secret");
        }
    }
}
