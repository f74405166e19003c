//! Usage and balance.

use serde_json::Value;
use twilio_sim::Simulator;

use crate::client::{account_path, get, start};

fn records(simulator: &Simulator, rest: &str) -> Vec<Value> {
    let response = get(
        simulator,
        &account_path(simulator, &format!("Usage/Records{rest}")),
    );
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()["usage_records"].as_array().unwrap().clone()
}

fn count(record: &Value) -> u64 {
    record["count"].as_str().unwrap().parse().unwrap()
}

#[test]
fn the_days_of_a_span_add_up_to_the_span() {
    let simulator = start(0, 5);
    let span = "Category=sms-outbound&StartDate=2026-11-01&EndDate=2026-11-10";
    let whole = records(&simulator, &format!(".json?{span}"));
    assert_eq!(whole.len(), 1);
    assert_eq!(
        (&whole[0]["start_date"], &whole[0]["end_date"]),
        (&"2026-11-01".into(), &"2026-11-10".into())
    );
    assert!(whole[0]["price"].is_number());
    let days = records(&simulator, &format!("/Daily.json?{span}"));
    assert_eq!(days.len(), 10);
    assert_eq!(days[0]["start_date"], "2026-11-10");
    assert_eq!(days.iter().map(count).sum::<u64>(), count(&whole[0]));
    let relative = records(&simulator, "/Daily.json?Category=sms&StartDate=-2days");
    assert_eq!(relative.len(), 3);
}

#[test]
fn each_period_has_its_days() {
    let simulator = start(0, 5);
    for (period, first, last) in [
        ("Today", "2026-11-20", "2026-11-20"),
        ("Yesterday", "2026-11-19", "2026-11-19"),
        ("ThisMonth", "2026-11-01", "2026-11-20"),
        ("LastMonth", "2026-10-01", "2026-10-31"),
    ] {
        let found = records(&simulator, &format!("/{period}.json?Category=totalprice"));
        assert_eq!(found.len(), 1);
        assert_eq!(
            (&found[0]["start_date"], &found[0]["end_date"]),
            (&first.into(), &last.into()),
            "{period}"
        );
    }
    let months = records(
        &simulator,
        "/Monthly.json?Category=sms&StartDate=2026-09-15&EndDate=2026-11-05",
    );
    let firsts: Vec<_> = months.iter().map(|month| month["start_date"].clone()).collect();
    assert_eq!(firsts, ["2026-11-01", "2026-10-01", "2026-09-15"]);
}

#[test]
fn usage_is_paged_and_invalid_queries_are_errors() {
    let simulator = start(0, 5);
    let path = account_path(
        &simulator,
        "Usage/Records/Daily.json?StartDate=2026-11-18&PageSize=4",
    );
    let (mut next, mut seen) = (Some(path), 0);
    while let Some(path) = next {
        let page = get(&simulator, &path).json();
        seen += page["usage_records"].as_array().unwrap().len();
        next = page["next_page_uri"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, 27);
    for (rest, expected) in [
        (".json?Category=carrots", (400, 20001)),
        (".json?StartDate=soon", (400, 20001)),
        ("/Sometimes.json", (404, 20404)),
    ] {
        let path = account_path(&simulator, &format!("Usage/Records{rest}"));
        assert_eq!(get(&simulator, &path).refusal(), expected, "{rest}");
    }
    let balance = get(&simulator, &account_path(&simulator, "Balance.json")).json();
    assert!(balance["balance"].is_string() && balance["currency"] == "USD");
}
