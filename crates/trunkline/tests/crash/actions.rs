//! `kill -9` while stored actions are in progress.

use std::collections::HashMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::{Value as Json, json};
use testkit::{AppBuilder, Dialect, TestApp, wait_until};

use crate::kills::Seed;
use crate::processes::{Process, Sandbox, small_pages};

/// How many messages are sent, which must not be repeated, and how many lookups, which may.
const EACH: usize = 200;
const KILLS: u32 = 8;
const CONNECTIONS: [&str; 4] = ["one", "two", "three", "four"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_is_sent_twice_and_no_action_is_lost_on_postgres() {
    let Some(app) = busy().start(Dialect::Postgres).await else {
        return;
    };
    survive(&app, &[&["worker"], &["worker"]]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_is_sent_twice_and_no_action_is_lost_on_sqlite() {
    let Some(app) = busy().start(Dialect::Sqlite).await else {
        return;
    };
    survive(&app, &[&["worker"]]).await;
}

fn busy() -> AppBuilder {
    AppBuilder::default()
        .twilio_file(small_pages)
        .simulator(|config| {
            config.messages = 10;
            config.faults.latency_ms = 60;
        })
        .system_clock()
}

/// Stores actions, repeatedly kills the workers that run them, and checks the result of each.
async fn survive(app: &TestApp, commands: &[&[&str]]) {
    let seed = Seed(rand::random());
    let mut dice = StdRng::seed_from_u64(seed.0);
    for name in CONNECTIONS {
        app.connect_as(app.admin(), name).await;
    }
    let from = app.simulator().assets().numbers[0].clone();
    let (mut sends, mut lookups) = (Vec::new(), Vec::new());
    for number in 0..EACH {
        let connection = CONNECTIONS[number % CONNECTIONS.len()];
        let body = format!("crash {number}");
        let message = json!({ "to": "+14155550100", "from": from, "body": body });
        sends.push((store(app, connection, "send-message", &message).await, body));
        let lookup = json!({ "phoneNumber": "+14155550100" });
        lookups.push(store(app, connection, "lookup", &lookup).await);
    }

    let mut sandbox = Sandbox::new(app);
    let mut processes: Vec<Process> = commands.iter().map(|command| sandbox.start(command)).collect();
    for _ in 0..KILLS {
        let more = dice.random_range(1..=30);
        app.simulator().reset_requests();
        wait_until("requests are sent", async || {
            app.simulator().requests().total >= more
        })
        .await;
        let victim = dice.random_range(0..processes.len());
        processes.swap_remove(victim).kill();
        processes.push(sandbox.start(commands[0]));
    }
    let mut unknown = 0;
    let mut succeeded = HashMap::new();
    for (id, body) in &sends {
        let reply = ended(app, id).await;
        if reply.status == 200 {
            succeeded.insert(body.clone(), reply.json()["sid"].as_str().unwrap().to_owned());
        } else {
            assert_eq!(reply.code(), "action_outcome_unknown", "{}", reply.text);
            unknown += 1;
        }
    }
    for id in &lookups {
        assert_eq!(ended(app, id).await.expect(200).json()["valid"], true);
    }

    let mut sent: HashMap<String, Vec<String>> = HashMap::new();
    app.simulator().for_each_truth(|message| {
        if let Some(body) = message.body.filter(|body| body.starts_with("crash ")) {
            sent.entry(body).or_default().push(message.sid);
        }
    });
    for (_, body) in &sends {
        let sids = sent.get(body).map_or(&[][..], Vec::as_slice);
        assert!(sids.len() <= 1, "{body:?} was sent {} times", sids.len());
        if let Some(sid) = succeeded.get(body) {
            assert_eq!(sids, std::slice::from_ref(sid), "{body:?} is reported as sent");
        }
    }
    assert!(
        unknown > 0,
        "every kill was between two requests: nothing was proved"
    );
    assert!(
        succeeded.len() > EACH / 2,
        "{} of {EACH} were sent",
        succeeded.len()
    );
    for name in CONNECTIONS {
        let path = format!("/twilio/messages?connectionId={name}&limit=1000");
        let rows = app.admin().get(&path).await.expect(200).json();
        let rows = rows["messages"].as_array().unwrap().clone();
        let of_name = (0..EACH).filter(|number| CONNECTIONS[number % CONNECTIONS.len()] == name);
        for sid in of_name.filter_map(|number| succeeded.get(&format!("crash {number}"))) {
            assert_eq!(
                rows.iter().filter(|row| row["sid"] == sid.as_str()).count(),
                1,
                "{sid}"
            );
        }
    }
}

async fn store(app: &TestApp, connection: &str, name: &str, input: &Json) -> String {
    let request = app
        .admin()
        .request(Method::POST, "/action/trigger")
        .header("Provider-Config-Key", "twilio")
        .header("Connection-Id", connection)
        .header("X-Async", "true")
        .header("Content-Type", "application/json")
        .body(json!({ "action_name": name, "input": input }).to_string());
    let reply = app.admin().send(request).await.expect(202);
    reply.json()["id"].as_str().unwrap().to_owned()
}

/// Waits for an action to end and returns its result.
async fn ended(app: &TestApp, id: &str) -> testkit::Reply {
    let path = format!("/action/{id}");
    wait_until("the action ends", async || {
        app.admin().get(&path).await.status != 404
    })
    .await;
    app.admin().get(&path).await
}
