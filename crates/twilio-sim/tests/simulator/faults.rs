//! Each fault is visible when it is on.

use std::io::Read;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use twilio_sim::{Burst, Faults, Simulator};

use crate::client::{Answer, exchange, get, listing, records, start};

fn under(faults: Faults) -> (Simulator, Answer) {
    let simulator = start(200, 5);
    simulator.set_faults(faults);
    let response = get(&simulator, &listing(&simulator, "PageSize=100"));
    (simulator, response)
}

fn off() -> Faults {
    Faults::default()
}

#[test]
fn refusals_come_with_twilios_codes_and_retry_after_only_when_set() {
    let (_, response) = under(Faults {
        rate_429: 1.0,
        ..off()
    });
    assert_eq!(
        (response.refusal(), response.headers.get("retry-after")),
        ((429, 20429), None)
    );
    let (_, response) = under(Faults {
        rate_429: 1.0,
        retry_after: Some(3),
        ..off()
    });
    assert_eq!(response.headers["retry-after"], "3");
    assert_eq!(
        under(Faults {
            rate_500: 1.0,
            ..off()
        })
        .1
        .refusal(),
        (500, 20500)
    );
    assert_eq!(
        under(Faults {
            rate_503: 1.0,
            ..off()
        })
        .1
        .refusal(),
        (503, 20503)
    );
    assert_eq!(
        under(Faults {
            rate_401: 1.0,
            ..off()
        })
        .1
        .refusal(),
        (401, 20003)
    );
    assert_eq!(
        under(Faults {
            max_page_size: Some(50),
            ..off()
        })
        .1
        .refusal(),
        (500, 20500)
    );
}

#[test]
fn html_comes_with_502_and_with_200() {
    let (_, response) = under(Faults {
        rate_502_html: 1.0,
        ..off()
    });
    assert!(response.status == 502 && response.text().contains("cloudfront"));
    let (_, response) = under(Faults {
        html_200: 1.0,
        ..off()
    });
    assert!(response.status == 200 && response.text().starts_with("<!DOCTYPE html>"));
}

#[test]
fn a_burst_refuses_a_run_of_requests() {
    let simulator = start(10, 5);
    simulator.set_faults(Faults {
        burst_429: Some(Burst { every: 3, length: 2 }),
        ..off()
    });
    let statuses: Vec<_> = (0..10)
        .map(|_| get(&simulator, &listing(&simulator, "")).status)
        .collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429, 200, 200, 200, 429, 429]);
    let log = simulator.requests();
    assert_eq!((log.total, log.by_status[&429]), (10, 4));
    assert_eq!(log.entries[3].fault.as_deref(), Some("burst_429"));
}

#[test]
fn too_many_requests_at_a_time_are_refused_and_counted() {
    let simulator = start(10, 5);
    simulator.set_faults(Faults {
        concurrency_limit: Some(2),
        latency_ms: 300,
        ..off()
    });
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| get(&simulator, &listing(&simulator, "")).status))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(statuses.contains(&429) && statuses.contains(&200), "{statuses:?}");
    assert!(simulator.requests().max_concurrency > 2);
}

#[test]
fn a_truncated_body_ends_early_and_a_slow_one_late() {
    let (_, response) = under(Faults {
        rate_cut: 1.0,
        ..off()
    });
    assert!(response.status == 200 && response.cut && !response.body.is_empty());
    let started = Instant::now();
    let (_, response) = under(Faults {
        rate_slow: 1.0,
        slow_ms: 300,
        ..off()
    });
    assert!(!response.cut && started.elapsed() >= Duration::from_millis(300));
    assert_eq!(records(&response.json()).len(), 100);
}

#[test]
fn latency_delays_every_response() {
    let started = Instant::now();
    let (_, response) = under(Faults {
        latency_ms: 200,
        latency_jitter_ms: 50,
        ..off()
    });
    assert!(response.status == 200 && started.elapsed() >= Duration::from_millis(200));
}

#[test]
fn bodies_are_compressed_only_for_clients_that_accept_it() {
    let (simulator, plain) = under(Faults { gzip: true, ..off() });
    assert!(!plain.headers.contains_key("content-encoding"));
    let known = simulator.credentials();
    let auth = Some((known.account_sid.as_str(), known.auth_token.as_str()));
    let path = listing(&simulator, "PageSize=100");
    let response = exchange(
        &simulator.url(),
        "GET",
        &path,
        auth,
        "Accept-Encoding: gzip\r\n",
        "",
    );
    assert_eq!(response.headers["content-encoding"], "gzip");
    let mut text = Vec::new();
    GzDecoder::new(response.body.as_slice())
        .read_to_end(&mut text)
        .unwrap();
    assert_eq!(text, plain.body);
}

#[test]
fn links_can_loop_and_lead_elsewhere() {
    let (_, response) = under(Faults {
        repeat_page: true,
        ..off()
    });
    assert_eq!(response.json()["next_page_uri"], response.json()["uri"]);
    let (_, response) = under(Faults {
        foreign_next_link: Some("https://elsewhere.example".to_owned()),
        ..off()
    });
    assert!(
        response.json()["next_page_uri"]
            .as_str()
            .unwrap()
            .starts_with("https://elsewhere.example/2010-04-01/")
    );
}

#[test]
fn odd_fields_appear_in_some_records_and_never_replace_the_sid() {
    let (simulator, response) = under(Faults {
        bad_fields: 0.5,
        ..off()
    });
    let mut odd = 0;
    for record in records(&response.json()) {
        let sid = record["sid"].as_str().unwrap();
        odd += usize::from(simulator.message(sid).unwrap() != record);
    }
    assert!((25..75).contains(&odd), "{odd}");
}

#[test]
fn the_same_seed_draws_the_same_faults_and_control_routes_have_none() {
    let statuses = || -> Vec<u16> {
        let simulator = start(10, 5);
        simulator.set_faults(Faults {
            rate_500: 0.3,
            rate_429: 0.2,
            ..off()
        });
        assert_eq!(
            exchange(&simulator.url(), "GET", "/_sim", None, "", "").status,
            200
        );
        (0..40)
            .map(|_| get(&simulator, &listing(&simulator, "")).status)
            .collect()
    };
    let first = statuses();
    assert_eq!(first, statuses());
    assert!(first.contains(&500) && first.contains(&429) && first.contains(&200));
}
