//! Sending: what is checked, what is answered, what test credentials do.

use twilio_sim::Simulator;

use crate::client::{exchange, get, messages_path, send, start};

fn own_number(simulator: &Simulator) -> String {
    let path = format!(
        "/2010-04-01/Accounts/{}/IncomingPhoneNumbers.json",
        simulator.credentials().account_sid
    );
    get(simulator, &path).json()["incoming_phone_numbers"][0]["phone_number"]
        .as_str()
        .unwrap()
        .replace('+', "%2B")
}

#[test]
fn a_send_is_stored_and_answered_without_feedback() {
    let simulator = start(10, 5);
    let form = format!(
        "To=%2B15558675310&From={}&Body=Gr%C3%BC%C3%9Fe+%F0%9F%98%8A",
        own_number(&simulator)
    );
    let answer = send(&simulator, "POST", &messages_path(&simulator, ".json"), &form);
    assert_eq!(answer.status, 201);
    let sent = answer.json();
    assert_eq!(
        (&sent["status"], &sent["body"]),
        (&"queued".into(), &"Grüße 😊".into())
    );
    assert!(sent["subresource_uris"].get("feedback").is_none());
    let path = messages_path(&simulator, &format!("/{}.json", sent["sid"].as_str().unwrap()));
    let fetched = get(&simulator, &path).json();
    assert_eq!(fetched["body"], sent["body"]);
    assert!(fetched["subresource_uris"]["feedback"].is_string());
    assert_eq!(simulator.live_count(), 11);
}

#[test]
fn media_services_and_schedules_show_in_the_answer() {
    let simulator = start(10, 5);
    let path = messages_path(&simulator, ".json");
    let own = own_number(&simulator);
    let media = "MediaUrl=https%3A%2F%2Fa.example%2F1.png&MediaUrl=https%3A%2F%2Fa.example%2F2.png";
    let sent = send(
        &simulator,
        "POST",
        &path,
        &format!("To=%2B15558675310&From={own}&{media}"),
    )
    .json();
    assert!(sent["sid"].as_str().unwrap().starts_with("MM"));
    assert_eq!(sent["num_media"], "2");
    let service = format!(
        "To=%2B15558675310&Body=x&MessagingServiceSid=MG{}",
        "a".repeat(32)
    );
    assert_eq!(
        send(&simulator, "POST", &path, &service).json()["status"],
        "accepted"
    );
    let scheduled = format!("{service}&ScheduleType=fixed&SendAt=2026-11-21T12%3A00%3A00Z");
    assert_eq!(
        send(&simulator, "POST", &path, &scheduled).json()["status"],
        "scheduled"
    );
    let too_soon = format!("{service}&ScheduleType=fixed&SendAt=2026-11-20T12%3A00%3A10Z");
    assert_eq!(send(&simulator, "POST", &path, &too_soon).refusal(), (400, 35114));
}

#[test]
fn incomplete_and_invalid_sends_are_told_with_twilios_codes() {
    let simulator = start(10, 5);
    let path = messages_path(&simulator, ".json");
    let own = own_number(&simulator);
    let long = "x".repeat(1601);
    for (form, code) in [
        (format!("From={own}&Body=x"), 21604),
        (format!("To=%2B15558675310&From={own}"), 21602),
        ("To=%2B15558675310&Body=x".to_owned(), 21603),
        (format!("To=nobody&From={own}&Body=x"), 21211),
        (
            "To=%2B15558675310&From=not+a+number+at+all&Body=x".to_owned(),
            21212,
        ),
        ("To=%2B15558675310&From=%2B19998887777&Body=x".to_owned(), 21606),
        (format!("To=%2B15558675310&From={own}&Body={long}"), 21617),
    ] {
        assert_eq!(
            send(&simulator, "POST", &path, &form).refusal(),
            (400, code),
            "{form}"
        );
    }
    let known = simulator.credentials();
    let kind = "Content-Type: application/json\r\n";
    let body = r#"{"To":"+15558675310","From":"+1","Body":"x"}"#;
    let auth = Some((known.account_sid.as_str(), known.auth_token.as_str()));
    assert_eq!(
        exchange(&simulator.url(), "POST", &path, auth, kind, body).refusal(),
        (400, 21604)
    );
}

#[test]
fn test_credentials_know_the_magic_numbers_and_store_nothing() {
    let simulator = start(10, 5);
    let known = simulator.credentials();
    let path = format!("/2010-04-01/Accounts/{}/Messages.json", known.test_account_sid);
    let auth = Some((known.test_account_sid.as_str(), known.test_auth_token.as_str()));
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    let post = |from: &str, to: &str| {
        let form = format!("To=%2B1500555{to}&From=%2B1500555{from}&Body=x");
        exchange(&simulator.url(), "POST", &path, auth, kind, &form)
    };
    assert_eq!(post("0006", "0010").status, 201);
    for (from, to, code) in [
        ("0001", "0010", 21212),
        ("0007", "0010", 21606),
        ("0008", "0010", 21611),
        ("0006", "0001", 21211),
        ("0006", "0002", 21612),
        ("0006", "0003", 21408),
        ("0006", "0004", 21610),
        ("0006", "0009", 21614),
    ] {
        assert_eq!(post(from, to).refusal(), (400, code));
    }
    assert_eq!(simulator.live_count(), 10);
}
