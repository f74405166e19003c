//! Verify: codes sent, checked, limited and expired; by host and by path.

use chrono::Duration;
use twilio_sim::{Permission, SimConfig, Simulator};

use crate::client::{Answer, exchange, exchange_as, frozen, get, send, start};

const TO: &str = "%2B14155550100";

fn service(simulator: &Simulator) -> String {
    format!("/v2/Services/{}", simulator.assets().verify_services[0])
}

fn start_verification(simulator: &Simulator) -> Answer {
    let path = format!("{}/Verifications", service(simulator));
    send(simulator, "POST", &path, &format!("To={TO}&Channel=sms"))
}

fn check(simulator: &Simulator, code: &str) -> Answer {
    let path = format!("{}/VerificationCheck", service(simulator));
    send(simulator, "POST", &path, &format!("To={TO}&Code={code}"))
}

/// Returns a code other than the one that was sent.
fn wrong(simulator: &Simulator) -> &'static str {
    if simulator.verifications()[0].code == "000000" {
        "000001"
    } else {
        "000000"
    }
}

#[test]
fn the_right_code_approves_and_ends_the_verification() {
    let simulator = start(0, 5);
    let response = start_verification(&simulator);
    let sent = response.json();
    assert_eq!(response.status, 201);
    assert_eq!(
        (&sent["status"], &sent["valid"], &sent["channel"]),
        (&"pending".into(), &false.into(), &"sms".into())
    );
    assert!(sent["sid"].as_str().unwrap().starts_with("VE"));
    assert_eq!(sent["date_created"], "2026-11-20T12:00:00Z");
    assert_eq!(sent["send_code_attempts"].as_array().unwrap().len(), 1);

    let refused = check(&simulator, wrong(&simulator)).json();
    assert_eq!(
        (&refused["status"], &refused["valid"]),
        (&"pending".into(), &false.into())
    );
    let code = simulator.verifications()[0].code.clone();
    assert_eq!(code.len(), 6);
    let response = check(&simulator, &code);
    let approved = response.json();
    assert_eq!(response.status, 200);
    assert_eq!(
        (&approved["status"], &approved["valid"], &approved["sid"]),
        (&"approved".into(), &true.into(), &sent["sid"])
    );
    let gone = check(&simulator, &code);
    assert_eq!(gone.refusal(), (404, 20404));
    assert!(gone.text().contains("resource /Services/VA"));
    assert_eq!(simulator.verifications()[0].status, "approved");
}

#[test]
fn a_verification_can_be_checked_by_its_sid() {
    let simulator = start(0, 5);
    let sid = start_verification(&simulator).json()["sid"]
        .as_str()
        .unwrap()
        .to_owned();
    let code = simulator.verifications()[0].code.clone();
    let path = format!("{}/VerificationCheck", service(&simulator));
    let form = format!("VerificationSid={sid}&Code={code}");
    assert_eq!(
        send(&simulator, "POST", &path, &form).json()["status"],
        "approved"
    );
}

#[test]
fn the_sixth_send_within_ten_minutes_is_too_many() {
    let simulator = start(0, 5);
    for number in 1..=5 {
        let sent = start_verification(&simulator).json();
        assert_eq!(sent["send_code_attempts"].as_array().unwrap().len(), number);
        simulator.advance(Duration::seconds(60));
    }
    let refused = start_verification(&simulator);
    assert_eq!(refused.refusal(), (429, 60203));
    assert_eq!(refused.headers["retry-after"], "300");
    assert_eq!(simulator.verifications().len(), 1);

    simulator.advance(Duration::seconds(300));
    assert_eq!(start_verification(&simulator).status, 201);
    assert_eq!(simulator.verifications()[1].status, "expired");
}

#[test]
fn the_sixth_check_is_too_many_even_with_the_right_code() {
    let simulator = start(0, 5);
    start_verification(&simulator);
    for _ in 0..5 {
        assert_eq!(check(&simulator, wrong(&simulator)).json()["status"], "pending");
    }
    let code = simulator.verifications()[0].code.clone();
    assert_eq!(check(&simulator, &code).refusal(), (429, 60202));
    assert_eq!(simulator.verifications()[0].status, "max_attempts_reached");
}

#[test]
fn a_verification_expires_after_ten_minutes_and_can_be_canceled_before() {
    let simulator = start(0, 5);
    start_verification(&simulator);
    let code = simulator.verifications()[0].code.clone();
    simulator.advance(Duration::minutes(10));
    assert_eq!(check(&simulator, &code).refusal(), (404, 20404));

    let path = format!("{}/Verifications/{TO}", service(&simulator));
    assert_eq!(get(&simulator, &path).refusal(), (404, 20404));
    start_verification(&simulator);
    assert_eq!(get(&simulator, &path).json()["status"], "pending");
    let canceled = send(&simulator, "POST", &path, "Status=canceled");
    assert_eq!(
        (canceled.status, &canceled.json()["status"]),
        (200, &"canceled".into())
    );
    assert_eq!(get(&simulator, &path).refusal(), (404, 20404));
}

#[test]
fn invalid_verifications_are_refused_with_twilios_codes() {
    let simulator = start(0, 5);
    let sends = format!("{}/Verifications", service(&simulator));
    let checks = format!("{}/VerificationCheck", service(&simulator));
    let unknown = format!("/v2/Services/VA{}/Verifications", "0".repeat(32));
    for (path, form, expected) in [
        (&sends, "Channel=sms", (400, 20001)),
        (&sends, "To=%2B14155550100", (400, 20001)),
        (&sends, "To=%2B14155550100&Channel=pigeon", (400, 60200)),
        (&sends, "To=somebody&Channel=sms", (400, 60200)),
        (&sends, "To=%2B14155550100&Channel=email", (400, 60200)),
        (
            &sends,
            "To=%2B14155550100&Channel=sms&CustomCode=123456",
            (403, 60204),
        ),
        (&unknown, "To=%2B14155550100&Channel=sms", (404, 20404)),
        (&checks, "Code=123456", (400, 60200)),
        (&checks, "To=%2B14155550100&Code=123456", (404, 20404)),
    ] {
        assert_eq!(
            send(&simulator, "POST", path, form).refusal(),
            expected,
            "{path} {form}"
        );
    }
    simulator.set_unreachable("+14155550100", Some(60205));
    assert_eq!(start_verification(&simulator).refusal(), (400, 60205));
    let response = send(&simulator, "POST", &sends, "To=a%40b.example&Channel=email");
    assert_eq!(response.status, 201);
}

#[test]
fn services_are_listed_with_meta_paging_and_absolute_links() {
    let simulator = start(0, 5);
    let first = get(&simulator, "/v2/Services?PageSize=1").json();
    assert_eq!(
        (&first["meta"]["key"], &first["meta"]["page_size"]),
        (&"services".into(), &1.into())
    );
    let next = first["meta"]["next_page_url"].as_str().unwrap();
    let path = next.strip_prefix(&simulator.url()).expect("an absolute link");
    let second = get(&simulator, path).json();
    assert!(second["meta"]["next_page_url"].is_null());
    let sids = [&first, &second].map(|page| page["services"][0]["sid"].as_str().unwrap().to_owned());
    assert_eq!(sids.to_vec(), simulator.assets().verify_services);
}

#[test]
fn the_host_selects_the_product_and_is_used_in_links() {
    let simulator = start(0, 5);
    let known = simulator.credentials();
    let auth = Some((known.account_sid.as_str(), known.auth_token.as_str()));
    let at = |host: &str, path: &str| exchange_as(&simulator.url(), host, "GET", path, auth, "", "");
    let listed = at("verify.twilio.com", "/v2/Services?PageSize=1");
    assert_eq!(listed.headers["x-api-domain"], "verify.twilio.com");
    let next = listed.json()["meta"]["next_page_url"].clone();
    assert!(
        next.as_str()
            .unwrap()
            .starts_with("https://verify.twilio.com/v2/Services?")
    );
    assert_eq!(
        at("messaging.twilio.com", "/v1/Services").json()["services"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    for (host, path) in [
        ("chat.twilio.com", "/v2/Services"),
        ("api.twilio.com", "/v2/Services"),
        ("verify.twilio.com", "/v2/PhoneNumbers/+14155550100"),
        ("verify.twilio.com", "/v1/Services"),
    ] {
        assert_eq!(at(host, path).refusal(), (404, 20404), "{host}{path}");
    }
}

#[test]
fn product_apis_accept_the_same_credentials_as_the_2010_api() {
    let simulator = Simulator::start(SimConfig {
        restricted: vec![Permission::Lookups],
        ..frozen(0, 5)
    })
    .unwrap();
    let known = simulator.credentials();
    let services = service(&simulator);
    let lookup = "/v2/PhoneNumbers/+14155550100";
    for (name, secret, path, expected) in [
        (
            &known.standard_key_sid,
            &known.standard_key_secret,
            services.as_str(),
            200,
        ),
        (
            &known.restricted_key_sid,
            &known.restricted_key_secret,
            lookup,
            200,
        ),
        (
            &known.restricted_key_sid,
            &known.restricted_key_secret,
            &services,
            70051,
        ),
        (&known.test_account_sid, &known.test_auth_token, &services, 20008),
        (
            &known.suspended_account_sid,
            &known.suspended_auth_token,
            lookup,
            20403,
        ),
        (&known.account_sid, &known.main_key_secret, lookup, 20003),
        // Another account's service does not exist for this one.
        (
            &known.subaccount_sid,
            &known.subaccount_auth_token,
            &services,
            20404,
        ),
    ] {
        let response = exchange(&simulator.url(), "GET", path, Some((name, secret)), "", "");
        let reported = if response.status == 200 {
            200
        } else {
            response.refusal().1
        };
        assert_eq!(reported, expected, "{name} {path}");
    }
    simulator.revoke(&known.account_sid);
    assert_eq!(get(&simulator, lookup).refusal(), (401, 20003));
}
