//! Sending: checks, responses, and test credentials.

use chrono::Duration;

use crate::client::{exchange, get, messages_path, own_number, send, start};

#[test]
fn a_sent_message_is_stored_and_returned_without_feedback() {
    let simulator = start(10, 5);
    let form = format!(
        "To=%2B15558675310&From={}&Body=Gr%C3%BC%C3%9Fe+%F0%9F%98%8A",
        own_number(&simulator)
    );
    let response = send(&simulator, "POST", &messages_path(&simulator, ".json"), &form);
    assert_eq!(response.status, 201);
    let sent = response.json();
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
fn media_services_and_schedules_are_in_the_response() {
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
        "To=%2B15558675310&Body=x&MessagingServiceSid={}",
        simulator.assets().messaging_services[0]
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
fn incomplete_and_invalid_messages_are_refused_with_twilios_codes() {
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
        (format!("To={own}&From={own}&Body=x"), 21266),
        (
            "To=whatsapp:%2B15558675310&From=whatsapp:%2B19998887777&Body=x".to_owned(),
            63007,
        ),
        (format!("To=%2B15558675310&From={own}&MediaUrl=nowhere"), 21620),
        (format!("To=%2B15558675310&From={own}&ContentSid=HX1"), 21655),
        (
            format!("To=%2B15558675310&From={own}&Body=x&ContentVariables=1"),
            21656,
        ),
        (
            format!("To=%2B15558675310&From={own}&Body=x&StatusCallback=http%3A%2F%2Flocalhost%2Fx"),
            21609,
        ),
        (
            format!(
                "To=%2B15558675310&Body=x&MessagingServiceSid=MG{}",
                "a".repeat(32)
            ),
            21701,
        ),
        (
            format!("To=%2B15558675310&From={own}&Body=x&ScheduleType=fixed&SendAt=2026-11-21T12:00:00Z"),
            35118,
        ),
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

#[test]
fn a_message_is_redacted_then_deleted_and_is_gone() {
    let simulator = start(10, 5);
    let form = format!("To=%2B15558675310&From={}&Body=secret", own_number(&simulator));
    let sent = send(&simulator, "POST", &messages_path(&simulator, ".json"), &form).json();
    let path = messages_path(&simulator, &format!("/{}.json", sent["sid"].as_str().unwrap()));

    let redacted = send(&simulator, "POST", &path, "Body=");
    assert_eq!((redacted.status, &redacted.json()["body"]), (200, &"".into()));
    assert_eq!(get(&simulator, &path).json()["body"], "");

    let deleted = send(&simulator, "DELETE", &path, "");
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    assert_eq!(send(&simulator, "DELETE", &path, "").refusal(), (404, 20404));
    assert_eq!(get(&simulator, &path).refusal(), (404, 20404));
}

#[test]
fn only_a_scheduled_message_is_canceled() {
    let simulator = start(10, 5);
    let path = messages_path(&simulator, ".json");
    let service = &simulator.assets().messaging_services[0];
    let form = format!("To=%2B15558675310&Body=x&MessagingServiceSid={service}");
    let later = format!("{form}&ScheduleType=fixed&SendAt=2026-11-21T12:00:00Z");
    let one = |form: &str| {
        let sent = send(&simulator, "POST", &path, form).json();
        messages_path(&simulator, &format!("/{}.json", sent["sid"].as_str().unwrap()))
    };

    let scheduled = one(&later);
    assert_eq!(
        send(&simulator, "POST", &scheduled, "Status=canceled").json()["status"],
        "canceled"
    );
    let now = one(&form);
    assert_eq!(
        send(&simulator, "POST", &now, "Status=canceled").refusal(),
        (400, 30409)
    );

    let late = one(&later);
    simulator.advance(Duration::days(2));
    assert_eq!(
        send(&simulator, "POST", &late, "Status=canceled").refusal(),
        (400, 30409)
    );
    assert_eq!(get(&simulator, &scheduled).json()["status"], "canceled");
}

#[test]
fn an_unreachable_recipient_is_refused_until_reset() {
    let simulator = start(10, 5);
    let path = messages_path(&simulator, ".json");
    let form = format!("To=%2B15558675310&From={}&Body=x", own_number(&simulator));
    for code in [21608, 21610] {
        simulator.set_unreachable("+15558675310", Some(code));
        assert_eq!(
            send(&simulator, "POST", &path, &form).refusal(),
            (400, u64::from(code))
        );
    }
    simulator.set_unreachable("+15558675310", None);
    assert_eq!(send(&simulator, "POST", &path, &form).status, 201);
}

#[test]
fn test_credentials_cannot_change_what_others_sent() {
    let simulator = start(10, 5);
    let known = simulator.credentials();
    let mut sid = None;
    simulator.for_each_truth(|message| sid = Some(message.sid));
    let sid = sid.unwrap();
    let path = format!(
        "/2010-04-01/Accounts/{}/Messages/{sid}.json",
        known.test_account_sid
    );
    let auth = Some((known.test_account_sid.as_str(), known.test_auth_token.as_str()));
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    let before = simulator.message(&sid);
    let response = exchange(&simulator.url(), "POST", &path, auth, kind, "Body=");
    assert_eq!(response.refusal(), (403, 20008));
    assert_eq!(simulator.message(&sid), before);
}
