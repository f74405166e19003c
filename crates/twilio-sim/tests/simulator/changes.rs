//! Messages that change: by the clock, one at a time, and by the thousand.

use std::collections::HashMap;

use chrono::Duration;
use serde_json::{Value, json};
use twilio_sim::{Mutation, MutationKind, NewMessage, Patch, SimConfig, Simulator, Status};

use crate::client::{
    date, exchange, frozen, get, messages_path, noon, page_through, send, sid, start, truth,
};

#[test]
fn a_message_changes_status_as_the_clock_moves() {
    let simulator = start(0, 5);
    let service = format!("MG{}", "0".repeat(32));
    let sid = simulator.insert(NewMessage {
        messaging_service_sid: Some(service),
        ..NewMessage::default()
    });
    let now = |field: &str| simulator.message(&sid).unwrap()[field].clone();
    assert_eq!(
        (now("status"), now("from"), now("num_segments")),
        (json!("accepted"), Value::Null, json!("0"))
    );
    assert_eq!((now("date_sent"), now("price")), (Value::Null, Value::Null));
    let mut seen = vec![now("status")];
    for _ in 0..20 {
        simulator.advance(Duration::seconds(1));
        if seen.last() != Some(&now("status")) {
            seen.push(now("status"));
        }
    }
    assert_eq!(seen[..3], [json!("accepted"), json!("sending"), json!("sent")]);
    assert!(now("from").is_string() && now("num_segments") == "1" && now("date_sent").is_string());
    assert_eq!(now("price"), Value::Null);
    let moved = date(&simulator.message(&sid).unwrap(), "date_updated");
    simulator.advance(Duration::days(5));
    assert!(
        now("price")
            .as_str()
            .is_some_and(|price| price.starts_with("-0."))
            || now("price").is_null()
    );
    assert!(date(&simulator.message(&sid).unwrap(), "date_updated") > moved);
}

#[test]
fn the_clock_changes_recent_messages_only() {
    let simulator = start(20_000, 30);
    let before: HashMap<_, _> = truth(&simulator)
        .into_iter()
        .map(|message| (sid(&message), message))
        .collect();
    simulator.advance(Duration::hours(6));
    let changed: Vec<_> = truth(&simulator)
        .into_iter()
        .filter(|message| before[&sid(message)] != *message)
        .collect();
    assert!(changed.len() > 20, "{}", changed.len());
    for message in &changed {
        let old = &before[&sid(message)];
        assert!(
            date(message, "date_updated") > date(old, "date_updated"),
            "{old} {message}"
        );
        assert!(
            date(old, "date_created").unwrap() > noon() - Duration::days(14),
            "{old}"
        );
    }
}

#[test]
fn a_scheduled_message_is_sent_when_its_time_comes_and_moves_to_its_day() {
    let simulator = Simulator::start(SimConfig {
        undated_per_mille: 100,
        ..frozen(3000, 10)
    })
    .unwrap();
    let scheduled: Vec<_> = truth(&simulator)
        .iter()
        .filter(|message| message["status"] == "scheduled")
        .map(sid)
        .collect();
    assert!(scheduled.len() > 20);
    let count = simulator.live_count();
    simulator.advance(Duration::days(8));
    assert_eq!(simulator.live_count(), count);
    let after = page_through(
        &simulator,
        "DateSent%3E=2026-11-20T12:00:00Z&PageSize=1000",
        |_| (),
    );
    let sent: Vec<_> = after.iter().map(sid).collect();
    assert!(scheduled.iter().all(|sid| sent.contains(sid)));
    let all = page_through(&simulator, "PageSize=500", |_| ());
    assert_eq!(all.len(), 3000);
    let keys: Vec<_> = all
        .iter()
        .map(|message| date(message, "date_sent").or(date(message, "date_created")))
        .collect();
    assert!(keys.windows(2).all(|pair| pair[0] >= pair[1]));
}

#[test]
fn a_mutation_changes_what_it_reports_and_the_list_shows_it() {
    let simulator = start(5000, 20);
    let before: HashMap<_, _> = truth(&simulator)
        .into_iter()
        .map(|message| (sid(&message), message))
        .collect();
    simulator.advance(Duration::seconds(1));
    let settled = truth(&simulator);
    let by_clock = settled
        .iter()
        .filter(|message| before[&sid(message)] != **message)
        .count();
    let report = simulator.mutate(&Mutation {
        seed: 3,
        share: 0.2,
        within_days: None,
        kinds: Vec::new(),
    });
    assert!((800..1200).contains(&report.chosen), "{report:?}");
    assert!(
        report.status > 0 && report.price > 0 && report.redact > 0 && report.delete > 0 && report.extra > 0
    );
    let after = truth(&simulator);
    let changed = after
        .iter()
        .filter(|message| before[&sid(message)] != **message)
        .count();
    let expected = usize::try_from(report.chosen - report.delete - report.unchanged).unwrap();
    assert!(
        changed >= expected && changed <= expected + by_clock,
        "{changed} {expected} {by_clock}"
    );
    assert_eq!(after.len(), 5000 - usize::try_from(report.delete).unwrap());
    assert_eq!(page_through(&simulator, "PageSize=1000", |_| ()), after);
    assert_eq!(simulator.live_count(), u64::try_from(after.len()).unwrap());
}

#[test]
fn a_mutation_within_days_leaves_older_messages_alone() {
    let simulator = start(5000, 20);
    let before: HashMap<_, _> = truth(&simulator)
        .into_iter()
        .map(|message| (sid(&message), message))
        .collect();
    let kinds = vec![MutationKind::Extra];
    let report = simulator.mutate(&Mutation {
        seed: 3,
        share: 1.0,
        within_days: Some(3),
        kinds,
    });
    assert!(report.extra > 0 && report.extra == report.chosen);
    for message in truth(&simulator) {
        let old = date(&before[&sid(&message)], "date_created").unwrap() < noon() - Duration::days(10);
        assert!(!old || before[&sid(&message)] == message);
    }
}

#[test]
fn a_patch_changes_one_message_and_its_date_of_update() {
    let simulator = start(50, 5);
    let target = sid(&truth(&simulator)[20]);
    simulator.advance(Duration::minutes(1));
    let patch = Patch {
        price: Some(None),
        status: Some(Status::Undelivered),
        error_code: Some(Some(30003)),
        ..Patch::default()
    };
    assert!(simulator.patch(&target, patch));
    let message = get(&simulator, &messages_path(&simulator, &format!("/{target}.json"))).json();
    assert_eq!(
        (&message["price"], &message["status"], &message["error_code"]),
        (&Value::Null, &json!("undelivered"), &json!(30003))
    );
    assert_eq!(date(&message, "date_updated"), Some(simulator.now()));
    assert!(!simulator.patch("SM00000000000000000000000000000000", Patch::default()));
}

#[test]
fn redacting_canceling_and_deleting_work_over_the_api() {
    let simulator = start(50, 5);
    let target = sid(&truth(&simulator)[20]);
    let path = messages_path(&simulator, &format!("/{target}.json"));
    assert_eq!(send(&simulator, "POST", &path, "Body=").json()["body"], "");
    assert_eq!(
        send(&simulator, "POST", &path, "Body=other").refusal(),
        (400, 20001)
    );
    assert_eq!(
        send(&simulator, "POST", &path, "Status=canceled").refusal().0,
        400
    );
    assert_eq!(send(&simulator, "DELETE", &path, "").status, 204);
    assert_eq!(get(&simulator, &path).refusal(), (404, 20404));
    let send_at = Some(noon() + Duration::hours(2));
    let waiting = simulator.insert(NewMessage {
        send_at,
        ..NewMessage::default()
    });
    let path = messages_path(&simulator, &format!("/{waiting}.json"));
    assert_eq!(get(&simulator, &path).json()["status"], "scheduled");
    assert_eq!(
        send(&simulator, "POST", &path, "Status=canceled").json()["status"],
        "canceled"
    );
    simulator.advance(Duration::hours(3));
    let message = get(&simulator, &path).json();
    assert_eq!(
        (&message["status"], &message["date_sent"]),
        (&json!("canceled"), &Value::Null)
    );
}

#[test]
fn a_late_message_is_listed_by_its_date() {
    let simulator = start(1000, 10);
    let at = noon() - Duration::days(4);
    let late = simulator.insert(NewMessage {
        date_created: Some(at),
        date_sent: Some(at),
        ..NewMessage::default()
    });
    let all = truth(&simulator);
    let place = all.iter().position(|message| sid(message) == late).unwrap();
    assert!(place > 10);
    assert!(
        date(&all[place - 1], "date_created") >= Some(at)
            && date(&all[place + 1], "date_created") <= Some(at)
    );
    let day = page_through(&simulator, "DateSent=2026-11-16&PageSize=1000", |_| ());
    assert!(day.iter().any(|message| sid(message) == late));
}

#[test]
fn the_control_routes_do_what_the_handle_does() {
    let simulator = start(2500, 10);
    let url = simulator.url();
    let json = "Content-Type: application/json\r\n";
    let call = |method: &str, path: &str, body: &str| {
        exchange(&url, method, &format!("/_sim{path}"), None, json, body)
    };
    assert_eq!(call("GET", "", "").json()["live"], 2500);
    let lines = call("GET", "/truth", "").text();
    let streamed: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(streamed, truth(&simulator));
    let sid = call("POST", "/messages", r#"{"body":"hi"}"#).json()["sid"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        call("PATCH", &format!("/messages/{sid}"), r#"{"price":"-1.00000"}"#).status,
        204
    );
    assert_eq!(
        call("GET", &format!("/truth/{sid}"), "").json()["price"],
        "-1.00000"
    );
    assert_eq!(call("DELETE", &format!("/messages/{sid}"), "").status, 204);
    assert_eq!(call("GET", &format!("/truth/{sid}"), "").status, 404);
    assert_eq!(
        call("POST", "/mutate", r#"{"share":0.1,"kinds":["redact"]}"#).status,
        200
    );
    assert_eq!(call("POST", "/advance", r#"{"seconds":60}"#).status, 200);
    assert_eq!(simulator.now(), noon() + Duration::seconds(60));
    assert_eq!(call("PUT", "/faults", r#"{"rate_500":1.0}"#).status, 204);
    assert_eq!(
        get(&simulator, &messages_path(&simulator, ".json")).refusal(),
        (500, 20500)
    );
    assert_eq!(call("PUT", "/faults", "{}").status, 204);
    assert_eq!(call("GET", "/faults", "").json()["rate_500"], 0.0);
    let known = simulator.credentials();
    let who = format!(r#"{{"username":"{}"}}"#, known.account_sid);
    assert_eq!(call("POST", "/revoke", &who).status, 204);
    assert_eq!(
        get(&simulator, &messages_path(&simulator, ".json")).refusal(),
        (401, 20003)
    );
    assert_eq!(call("POST", "/restore", &who).status, 204);
    assert_eq!(get(&simulator, &messages_path(&simulator, ".json")).status, 200);
    assert_eq!(call("GET", "/requests", "").json()["total"], 3);
    assert_eq!(call("DELETE", "/requests", "").status, 204);
    assert_eq!(simulator.requests().total, 0);
    assert_eq!(
        call("GET", "/credentials", "").json()["auth_token"],
        known.auth_token
    );
}
