//! Lists: completeness, order, filters, links, anchors.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use serde_json::Value;
use twilio_sim::{Faults, NewMessage, SimConfig, Simulator};

use crate::client::{date, frozen, get, listing, page_through, records, sid, start, truth};

#[test]
fn paging_shows_every_message_exactly_once_and_newest_first() {
    let simulator = start(2345, 30);
    let listed = page_through(&simulator, "PageSize=100", |_| ());
    assert_eq!(listed.len(), 2345);
    assert_eq!(simulator.live_count(), 2345);
    let sids: HashSet<_> = listed.iter().map(sid).collect();
    assert_eq!(sids.len(), 2345);
    let keys: Vec<_> = listed
        .iter()
        .map(|message| date(message, "date_sent").or(date(message, "date_created")))
        .collect();
    assert!(keys.windows(2).all(|pair| pair[0] >= pair[1]));
    assert_eq!(listed, truth(&simulator));
}

#[test]
fn a_filter_by_days_includes_both_days_completely() {
    let simulator = start(5000, 30);
    let day = |message: &Value| date(message, "date_sent").map(|at| at.date_naive().to_string());
    let mut by_day: BTreeMap<String, usize> = BTreeMap::new();
    for message in truth(&simulator) {
        if let Some(day) = day(&message) {
            *by_day.entry(day).or_default() += 1;
        }
    }
    let days: Vec<_> = by_day.keys().cloned().collect();
    let (first, last) = (&days[5], &days[9]);
    let expected: usize = by_day
        .range(first.clone()..=last.clone())
        .map(|(_, count)| count)
        .sum();
    let query = format!("DateSent%3E={first}&DateSent%3C={last}&PageSize=50");
    let listed = page_through(&simulator, &query, |_| ());
    assert_eq!(listed.len(), expected);
    assert!(
        listed
            .iter()
            .all(|message| (first..=last).contains(&&day(message).unwrap()))
    );
    let one = page_through(&simulator, &format!("DateSent={first}&PageSize=1000"), |_| ());
    assert_eq!(one.len(), by_day[first]);
    let midnight = format!("DateSent={first}T00:00:00Z&PageSize=1000");
    assert_eq!(page_through(&simulator, &midnight, |_| ()), one);
}

#[test]
fn a_time_of_day_is_respected_unless_configured_otherwise() {
    let simulator = start(5000, 10);
    let query = "DateSent%3E=2026-11-18T12:00:00Z&DateSent%3C=2026-11-18T12:59:59Z&PageSize=1000";
    let hour = page_through(&simulator, query, |_| ()).len();
    let day = page_through(&simulator, "DateSent=2026-11-18&PageSize=1000", |_| ()).len();
    assert!(hour > 0 && hour < day);
    simulator.set_faults(Faults {
        time_ignored: true,
        ..Faults::default()
    });
    assert_eq!(page_through(&simulator, query, |_| ()).len(), day);
}

#[test]
fn the_envelope_has_relative_links_that_echo_the_filters() {
    let simulator = start(500, 30);
    let body = get(
        &simulator,
        &listing(&simulator, "DateSent%3E=2026-11-01&PageSize=7&Colour=blue"),
    )
    .json();
    let account = simulator.credentials().account_sid;
    let last = sid(records(&body).last().unwrap());
    let stem =
        format!("/2010-04-01/Accounts/{account}/Messages.json?DateSent%3E=2026-11-01&Colour=blue&PageSize=7");
    assert_eq!(body["next_page_uri"], format!("{stem}&Page=1&PageToken=PA{last}"));
    assert_eq!(body["first_page_uri"], format!("{stem}&Page=0"));
    assert_eq!(body["uri"], body["first_page_uri"]);
    assert_eq!(body["previous_page_uri"], Value::Null);
    assert_eq!(
        (&body["page"], &body["page_size"], &body["start"], &body["end"]),
        (&0.into(), &7.into(), &0.into(), &6.into())
    );
    let second = get(&simulator, body["next_page_uri"].as_str().unwrap()).json();
    assert_eq!(
        (&second["page"], &second["start"], &second["end"]),
        (&1.into(), &7.into(), &13.into())
    );
    let back = get(&simulator, second["previous_page_uri"].as_str().unwrap()).json();
    assert_eq!(records(&back), records(&body));
}

#[test]
fn a_count_that_fills_its_last_page_ends_there_or_with_an_empty_page() {
    let simulator = start(40, 5);
    let pages = |simulator: &Simulator| {
        let mut pages = 0;
        page_through(simulator, "PageSize=20", |_| pages += 1);
        pages
    };
    assert_eq!(pages(&simulator), 2);
    simulator.set_faults(Faults {
        empty_last_page: true,
        ..Faults::default()
    });
    assert_eq!(pages(&simulator), 3);
}

#[test]
fn inserts_and_deletes_while_paging_neither_repeat_nor_skip_the_others() {
    let simulator = start(1000, 20);
    let before = truth(&simulator);
    let anchor = sid(&before[99]);
    let listed = page_through(&simulator, "PageSize=100", |page| {
        simulator.insert(NewMessage::default());
        if page == 0 {
            assert!(simulator.delete(&anchor));
            assert!(simulator.delete(&sid(&before[500])));
        }
    });
    let expected: Vec<_> = before
        .iter()
        .map(sid)
        .filter(|sid| *sid != crate::client::sid(&before[500]))
        .collect();
    assert_eq!(listed.iter().map(sid).collect::<Vec<_>>(), expected);
    assert_eq!(simulator.live_count(), 1000 - 2 + 10);
    let newest = records(&get(&simulator, &listing(&simulator, "PageSize=10")).json());
    assert!(
        newest
            .iter()
            .all(|message| message["body"].as_str().unwrap().starts_with("Inserted"))
    );
}

#[test]
fn a_deleted_anchor_is_refused_when_anchors_are_strict() {
    let simulator = start(100, 5);
    let page = get(&simulator, &listing(&simulator, "PageSize=10")).json();
    assert!(simulator.delete(&sid(&records(&page)[9])));
    let next = page["next_page_uri"].as_str().unwrap();
    assert_eq!(get(&simulator, next).status, 200);
    simulator.set_faults(Faults {
        strict_anchor: true,
        ..Faults::default()
    });
    assert_eq!(get(&simulator, next).refusal(), (400, 21481));
}

#[test]
fn undated_messages_are_in_the_whole_list_and_in_no_date_filter() {
    let simulator = Simulator::start(SimConfig {
        undated_per_mille: 50,
        ..frozen(2000, 20)
    })
    .unwrap();
    let all = page_through(&simulator, "PageSize=1000", |_| ());
    let undated = all
        .iter()
        .filter(|message| message["date_sent"].is_null())
        .count();
    assert!((50..200).contains(&undated), "{undated}");
    let filter = "DateSent%3E=2026-10-01&PageSize=1000";
    let dated = page_through(&simulator, filter, |_| ());
    assert_eq!(dated.len(), all.len() - undated);
    simulator.set_faults(Faults {
        undated_in_filters: true,
        ..Faults::default()
    });
    assert_eq!(page_through(&simulator, filter, |_| ()).len(), all.len());
}

#[test]
fn messages_are_filtered_by_number() {
    let simulator = start(2000, 20);
    let all = truth(&simulator);
    let number = all[3]["to"].as_str().unwrap().to_owned();
    let expected = all.iter().filter(|message| message["to"] == *number).count();
    let listed = page_through(
        &simulator,
        &format!("To={}&PageSize=50", number.replace('+', "%2B")),
        |_| (),
    );
    assert_eq!(listed.len(), expected);
}

#[test]
fn the_same_seed_makes_the_same_simulator_and_another_does_not() {
    let (one, two) = (start(300, 10), start(300, 10));
    assert_eq!(truth(&one), truth(&two));
    assert_eq!(one.credentials(), two.credentials());
    let other = Simulator::start(SimConfig {
        seed: 12,
        ..frozen(300, 10)
    })
    .unwrap();
    assert_ne!(truth(&one), truth(&other));
}

#[test]
fn a_million_messages_start_quickly_and_deep_pages_are_cheap() {
    let started = Instant::now();
    let simulator = Simulator::start(SimConfig {
        messages: 1_000_000,
        ..frozen(0, 400)
    })
    .unwrap();
    assert_eq!(simulator.live_count(), 1_000_000);
    let mut path = listing(&simulator, "DateSent%3C=2025-12-24&PageSize=1000");
    for _ in 0..5 {
        let page = get(&simulator, &path).json();
        assert_eq!(records(&page).len(), 1000);
        path = page["next_page_uri"].as_str().unwrap().to_owned();
    }
    // Far more than it takes, far less than a scan or a table would take.
    assert!(started.elapsed().as_secs() < 10);
}

#[test]
fn messages_are_varied_and_about_as_large_as_real_ones() {
    let simulator = start(20_000, 60);
    let all = truth(&simulator);
    let bytes: usize = all.iter().map(|message| message.to_string().len()).sum();
    let mean = bytes / all.len();
    assert!((930..1010).contains(&mean), "{mean}");
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for message in &all {
        *seen.entry(message["status"].to_string()).or_default() += 1;
        *seen.entry(message["direction"].to_string()).or_default() += 1;
    }
    let words = [
        "delivered",
        "undelivered",
        "failed",
        "sent",
        "received",
        "read",
        "canceled",
        "scheduled",
        "accepted",
    ];
    for word in words.iter().chain(&[
        "partially_delivered",
        "inbound",
        "outbound-api",
        "outbound-reply",
        "outbound-call",
    ]) {
        assert!(
            seen.contains_key(&format!("{word:?}")),
            "{word} is missing from {seen:?}"
        );
    }
    assert!(
        all.iter()
            .any(|message| message["sid"].as_str().unwrap().starts_with("MM"))
    );
    assert!(all.iter().any(|message| message["tags"].is_object()));
    assert!(
        all.iter()
            .any(|message| message["price"].is_null() && message["date_sent"].is_string())
    );
}
