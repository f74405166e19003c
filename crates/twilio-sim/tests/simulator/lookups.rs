//! Lookup: responses for valid and impossible numbers.

use serde_json::Value;
use twilio_sim::Faults;

use crate::client::{get, start};

#[test]
fn a_lookup_has_data_packages_only_if_they_are_requested() {
    let simulator = start(0, 5);
    let plain = get(&simulator, "/v2/PhoneNumbers/%2B14155550100").json();
    assert_eq!(plain["valid"], true);
    assert_eq!(plain["national_format"], "(415) 555-0100");
    assert_eq!(
        (&plain["country_code"], &plain["calling_country_code"]),
        (&"US".into(), &"1".into())
    );
    assert_eq!(plain["validation_errors"], Value::Array(vec![]));
    assert_eq!(plain["line_type_intelligence"], Value::Null);

    let asked = "/v2/PhoneNumbers/+14155550100?Fields=line_type_intelligence,caller_name,sim_swap";
    let full = get(&simulator, asked).json();
    assert_eq!(full["line_type_intelligence"]["type"], "mobile");
    assert_eq!(full["line_type_intelligence"]["mobile_country_code"], "310");
    assert_eq!(full["caller_name"]["caller_type"], "CONSUMER");
    assert_eq!(full["sim_swap"]["error_code"], 60606);
    assert_eq!(full["call_forwarding"], Value::Null);
}

#[test]
fn line_types_follow_from_the_number() {
    let simulator = start(0, 5);
    for (number, kind) in [
        ("+18005550100", "tollFree"),
        ("+14155550199", "landline"),
        ("+14155550188", "nonFixedVoip"),
        ("+447700900123", "mobile"),
        ("+442079460958", "landline"),
    ] {
        let path = format!("/v2/PhoneNumbers/{number}?Fields=line_type_intelligence");
        assert_eq!(
            get(&simulator, &path).json()["line_type_intelligence"]["type"],
            kind,
            "{number}"
        );
    }
}

#[test]
fn a_lookup_of_an_impossible_number_returns_its_errors() {
    let simulator = start(0, 5);
    for (number, error) in [
        ("+1415", "TOO_SHORT"),
        ("+141555501000", "TOO_LONG"),
        ("+9999999999", "INVALID_COUNTRY_CODE"),
        ("somebody", "NOT_A_NUMBER"),
    ] {
        let response = get(
            &simulator,
            &format!("/v2/PhoneNumbers/{number}?Fields=line_type_intelligence"),
        );
        let body = response.json();
        assert_eq!(
            (response.status, &body["valid"]),
            (200, &false.into()),
            "{number}"
        );
        assert_eq!(body["validation_errors"][0], error);
        assert_eq!(body["line_type_intelligence"], Value::Null);
    }
    let national = get(&simulator, "/v2/PhoneNumbers/07700900123?CountryCode=GB").json();
    assert_eq!(national["phone_number"], "+447700900123");
    let unknown = get(&simulator, "/v2/PhoneNumbers/+14155550100?Fields=shoe_size");
    assert_eq!(unknown.refusal(), (400, 20001));
}

#[test]
fn faults_apply_to_the_product_apis_and_their_requests_are_logged() {
    let simulator = start(0, 5);
    simulator.set_faults(Faults {
        rate_429: 1.0,
        retry_after: Some(7),
        ..Faults::default()
    });
    let refused = get(&simulator, "/v2/PhoneNumbers/+14155550100");
    assert_eq!(refused.refusal(), (429, 20429));
    assert_eq!(refused.headers["retry-after"], "7");
    let log = simulator.requests();
    assert_eq!(log.entries[0].path, "/v2/PhoneNumbers/+14155550100");
    assert_eq!(log.entries[0].fault.as_deref(), Some("rate_429"));
}
