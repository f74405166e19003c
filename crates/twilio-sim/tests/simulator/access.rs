//! What each credential may access, and the errors for invalid requests.

use twilio_sim::{Permission, SimConfig, Simulator};

use crate::client::{exchange, frozen, get, listing, start};

fn as_user(simulator: &Simulator, path: &str, name: &str, secret: &str) -> (u16, u64) {
    let response = exchange(&simulator.url(), "GET", path, Some((name, secret)), "", "");
    if response.status == 200 {
        (200, 0)
    } else {
        response.refusal()
    }
}

#[test]
fn each_credential_sees_what_its_kind_may() {
    let simulator = start(10, 5);
    let known = simulator.credentials();
    let main = format!("/2010-04-01/Accounts/{}", known.account_sid);
    let sub = format!("/2010-04-01/Accounts/{}", known.subaccount_sid);
    let test = format!("/2010-04-01/Accounts/{}", known.test_account_sid);
    let suspended = format!("/2010-04-01/Accounts/{}", known.suspended_account_sid);
    let master = (&known.account_sid, &known.auth_token);
    let main_key = (&known.main_key_sid, &known.main_key_secret);
    let standard = (&known.standard_key_sid, &known.standard_key_secret);
    let restricted = (&known.restricted_key_sid, &known.restricted_key_secret);
    let testing = (&known.test_account_sid, &known.test_auth_token);
    let stopped = (&known.suspended_account_sid, &known.suspended_auth_token);
    let child = (&known.subaccount_sid, &known.subaccount_auth_token);
    let cases = [
        (master, format!("{main}/Messages.json"), (200, 0)),
        (master, format!("{sub}/Messages.json"), (200, 0)),
        (master, format!("{main}.json"), (200, 0)),
        (master, "/2010-04-01/Accounts.json".to_owned(), (200, 0)),
        (master, format!("{suspended}/Messages.json"), (401, 20003)),
        (
            master,
            format!("/2010-04-01/Accounts/AC{}/Messages.json", "0".repeat(32)),
            (404, 20404),
        ),
        (main_key, format!("{main}/Messages.json"), (200, 0)),
        (main_key, format!("{main}.json"), (200, 0)),
        (main_key, format!("{main}/Keys.json"), (200, 0)),
        (main_key, format!("{sub}/Messages.json"), (401, 20003)),
        (
            main_key,
            format!("/2010-04-01/Accounts/{}/Messages.json", known.main_key_sid),
            (400, 21470),
        ),
        (standard, format!("{main}/Messages.json"), (200, 0)),
        (standard, format!("{main}/Balance.json"), (200, 0)),
        (standard, format!("{main}.json"), (401, 20003)),
        (standard, format!("{main}/Keys.json"), (401, 20003)),
        (standard, "/2010-04-01/Accounts.json".to_owned(), (401, 20003)),
        (restricted, format!("{main}/IncomingPhoneNumbers.json"), (200, 0)),
        (restricted, format!("{main}/Messages.json"), (403, 70051)),
        (
            restricted,
            format!("{main}/Usage/Records/Today.json"),
            (403, 70051),
        ),
        (restricted, format!("{main}.json"), (401, 20003)),
        (testing, format!("{test}/Messages.json"), (403, 20008)),
        (stopped, format!("{suspended}/Messages.json"), (403, 20403)),
        (stopped, format!("{suspended}.json"), (200, 0)),
        (child, format!("{sub}/Messages.json"), (200, 0)),
        (child, format!("{main}/Messages.json"), (401, 20003)),
    ];
    for ((name, secret), path, expected) in cases {
        assert_eq!(
            as_user(&simulator, &path, name, secret),
            expected,
            "{name} {path}"
        );
    }
    assert_eq!(
        as_user(&simulator, &format!("{main}.json"), &known.account_sid, "wrong"),
        (401, 20003)
    );
}

#[test]
fn a_restricted_key_can_get_more_permissions() {
    let config = SimConfig {
        restricted: vec![Permission::MessagesRead],
        ..frozen(10, 5)
    };
    let simulator = Simulator::start(config).unwrap();
    let known = simulator.credentials();
    let path = listing(&simulator, "");
    assert_eq!(
        as_user(
            &simulator,
            &path,
            &known.restricted_key_sid,
            &known.restricted_key_secret
        ),
        (200, 0)
    );
}

#[test]
fn an_account_shows_its_auth_token_and_its_status() {
    let simulator = start(10, 5);
    let known = simulator.credentials();
    let account = get(
        &simulator,
        &format!("/2010-04-01/Accounts/{}.json", known.account_sid),
    )
    .json();
    assert_eq!(account["auth_token"], known.auth_token);
    assert_eq!(
        (&account["status"], &account["type"]),
        (&"active".into(), &"Full".into())
    );
}

#[test]
fn a_revoked_user_is_refused_until_restored() {
    let simulator = start(10, 5);
    let known = simulator.credentials();
    simulator.revoke(&known.account_sid);
    let refused = get(&simulator, &listing(&simulator, ""));
    assert_eq!(refused.refusal(), (401, 20003));
    assert_eq!(refused.headers["www-authenticate"], "Basic realm=\"Twilio API\"");
    assert_eq!(
        as_user(
            &simulator,
            &listing(&simulator, ""),
            &known.main_key_sid,
            &known.main_key_secret
        ),
        (200, 0)
    );
    simulator.restore(&known.account_sid);
    assert_eq!(get(&simulator, &listing(&simulator, "")).status, 200);
}

#[test]
fn invalid_queries_are_refused_with_twilios_codes() {
    let simulator = start(100, 5);
    for (query, expected) in [
        ("DateSent=yesterday", (400, 20001)),
        ("DateSent=%3E%3D2026-11-01", (400, 20001)),
        ("PageSize=0", (400, 20001)),
        ("PageSize=1001", (400, 20001)),
        ("PageSize=many", (400, 20001)),
        ("Page=1", (400, 20001)),
        (
            "Page=1&PageToken=PASM00000000000000000000000000000000",
            (400, 21481),
        ),
        ("Page=1&PageToken=garbage", (400, 21481)),
        ("DateSent%3E=2025-01-01", (400, 20001)),
        ("DateSent%3C=2025-01-01", (400, 20001)),
    ] {
        let response = get(&simulator, &listing(&simulator, query));
        assert_eq!(response.refusal(), expected, "{query}");
        let (status, code) = expected;
        let body = response.json();
        assert_eq!(body["status"], status);
        assert_eq!(
            body["more_info"],
            format!("https://www.twilio.com/docs/errors/{code}")
        );
    }
    assert_eq!(
        get(&simulator, &listing(&simulator, "DateSent%3E=2025-10-16")).status,
        200
    );
}

#[test]
fn a_path_without_json_has_an_xml_response_and_twilios_headers() {
    let simulator = start(10, 5);
    let known = simulator.credentials();
    let path = format!("/2010-04-01/Accounts/{}/Messages", known.account_sid);
    let response = get(&simulator, &path);
    assert_eq!(response.headers["content-type"], "application/xml");
    assert!(response.text().contains("<TwilioResponse>") && response.text().contains("<Message><Body>"));
    assert!(response.headers["twilio-request-id"].starts_with("RQ"));
    assert_eq!(response.headers["twilio-request-id"].len(), 34);
    assert_eq!(response.headers["twilio-concurrent-requests"], "1");
    assert_eq!(response.headers["x-home-region"], "us1");
    assert_eq!(response.headers["x-shenanigans"], "none");
}

#[test]
fn numbers_are_listed_in_pages() {
    let simulator = start(10, 5);
    let path = format!(
        "/2010-04-01/Accounts/{}/IncomingPhoneNumbers.json?PageSize=5",
        simulator.credentials().account_sid
    );
    let (mut next, mut seen) = (Some(path), 0);
    while let Some(path) = next {
        let page = get(&simulator, &path).json();
        seen += page["incoming_phone_numbers"].as_array().unwrap().len();
        next = page["next_page_uri"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, 12);
}
