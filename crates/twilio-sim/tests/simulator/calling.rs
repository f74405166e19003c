//! Calls: placing, progress by the clock, hanging up.

use chrono::Duration;
use serde_json::Value;
use twilio_sim::Simulator;

use crate::client::{account_path, date, exchange, get, own_number, send, sid, start};

fn place(simulator: &Simulator, to: &str) -> Value {
    let form = format!(
        "To={to}&From={}&Url=https%3A%2F%2Fa.example%2Fvoice.xml",
        own_number(simulator)
    );
    let response = send(simulator, "POST", &account_path(simulator, "Calls.json"), &form);
    assert_eq!(response.status, 201, "{}", response.text());
    response.json()
}

fn path_of(simulator: &Simulator, call: &Value) -> String {
    account_path(simulator, &format!("Calls/{}.json", sid(call)))
}

#[test]
fn a_call_rings_is_answered_and_ends_by_the_clock() {
    let simulator = start(0, 5);
    let call = place(&simulator, "%2B14155550100");
    assert_eq!(
        (&call["status"], &call["direction"], &call["to_formatted"]),
        (&"queued".into(), &"outbound-api".into(), &"(415) 555-0100".into())
    );
    assert_eq!(
        (&call["start_time"], &call["duration"]),
        (&Value::Null, &Value::Null)
    );
    let mut seen = vec!["queued".to_owned()];
    let mut last = call.clone();
    for _ in 0..300 {
        simulator.advance(Duration::seconds(1));
        last = get(&simulator, &path_of(&simulator, &call)).json();
        let status = last["status"].as_str().unwrap().to_owned();
        if seen.last() != Some(&status) {
            seen.push(status);
        }
    }
    assert_eq!(seen, ["queued", "ringing", "in-progress", "completed"]);
    let talked = date(&last, "end_time").unwrap() - date(&last, "start_time").unwrap();
    assert_eq!(last["duration"], talked.num_seconds().to_string());
    assert!(last["price"].as_str().unwrap().starts_with("-0."));
}

#[test]
fn a_call_is_canceled_before_and_hung_up_after_it_is_answered() {
    let simulator = start(0, 5);
    let early = place(&simulator, "%2B14155550100");
    let canceled = send(
        &simulator,
        "POST",
        &path_of(&simulator, &early),
        "Status=canceled",
    );
    assert_eq!(
        (canceled.status, &canceled.json()["status"]),
        (200, &"canceled".into())
    );

    let late = place(&simulator, "%2B14155550101");
    let path = path_of(&simulator, &late);
    simulator.advance(Duration::seconds(16));
    assert_eq!(get(&simulator, &path).json()["status"], "in-progress");
    let untouched = send(&simulator, "POST", &path, "Status=canceled");
    assert_eq!(
        (untouched.status, &untouched.json()["status"]),
        (200, &"in-progress".into())
    );
    let hung_up = send(&simulator, "POST", &path, "Status=completed").json();
    assert_eq!(hung_up["status"], "completed");
    assert_eq!(
        send(&simulator, "POST", &path, "Status=completed").refusal(),
        (400, 21220)
    );
}

#[test]
fn calls_are_listed_newest_first_and_filtered() {
    let simulator = start(0, 5);
    let first = place(&simulator, "%2B14155550100");
    let second = place(&simulator, "%2B14155550101");
    let listed = |query: &str| -> Vec<String> {
        let path = account_path(&simulator, &format!("Calls.json?{query}"));
        get(&simulator, &path).json()["calls"]
            .as_array()
            .unwrap()
            .iter()
            .map(sid)
            .collect()
    };
    assert_eq!(listed(""), [sid(&second), sid(&first)]);
    assert_eq!(listed("To=%2B14155550100"), [sid(&first)]);
    assert!(listed("Status=completed").is_empty());
    simulator.advance(Duration::minutes(10));
    assert_eq!(listed("Status=completed").len(), 2);
}

#[test]
fn invalid_calls_are_refused_with_twilios_codes() {
    let simulator = start(0, 5);
    let path = account_path(&simulator, "Calls.json");
    let own = own_number(&simulator);
    let url = "Url=https%3A%2F%2Fa.example%2Fvoice.xml";
    for (form, code) in [
        (format!("From={own}&{url}"), 21201),
        (format!("To=%2B14155550100&{url}"), 21213),
        (format!("To=%2B14155550100&From={own}"), 21205),
        (format!("To=%2B14155550100&From={own}&Url=nowhere"), 21205),
        (format!("To=nobody&From={own}&{url}"), 21217),
        (format!("To=%2B14155550100&From=%2B14155550101&{url}"), 21210),
        (
            format!("To=%2B14155550100&From={own}&{url}&StatusCallback=http%3A%2F%2F127.0.0.1%2Fx"),
            21609,
        ),
    ] {
        assert_eq!(
            send(&simulator, "POST", &path, &form).refusal(),
            (400, code),
            "{form}"
        );
    }
    let nobody = account_path(&simulator, &format!("Calls/CA{}.json", "0".repeat(32)));
    assert_eq!(get(&simulator, &nobody).refusal(), (404, 20404));
}

#[test]
fn test_credentials_know_the_magic_numbers_of_calls() {
    let simulator = start(0, 5);
    let known = simulator.credentials();
    let path = format!("/2010-04-01/Accounts/{}/Calls.json", known.test_account_sid);
    let auth = Some((known.test_account_sid.as_str(), known.test_auth_token.as_str()));
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    let post = |from: &str, to: &str| {
        let form = format!("To=%2B1500555{to}&From=%2B1500555{from}&Twiml=%3CResponse%2F%3E");
        exchange(&simulator.url(), "POST", &path, auth, kind, &form)
    };
    assert_eq!(post("0006", "0010").status, 201);
    for (from, to, code) in [
        ("0001", "0010", 21212),
        ("0009", "0010", 21210),
        ("0006", "0001", 21217),
        ("0006", "0002", 21214),
        ("0006", "0003", 21215),
        ("0006", "0004", 21216),
    ] {
        assert_eq!(post(from, to).refusal(), (400, code));
    }
    let listed = get(&simulator, &account_path(&simulator, "Calls.json")).json();
    assert_eq!(listed["calls"].as_array().unwrap().len(), 0);
}
