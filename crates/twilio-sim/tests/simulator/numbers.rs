//! Numbers that are owned and numbers that are for sale.

use serde_json::Value;
use twilio_sim::Faults;

use crate::client::{account_path, get, start};

fn found(simulator: &twilio_sim::Simulator, rest: &str) -> Vec<Value> {
    let response = get(simulator, &account_path(simulator, rest));
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()["available_phone_numbers"]
        .as_array()
        .unwrap()
        .clone()
}

fn text(number: &Value) -> String {
    number["phone_number"].as_str().unwrap().to_owned()
}

#[test]
fn owned_numbers_are_filtered_and_each_can_be_fetched() {
    let simulator = start(0, 5);
    let list = |query: &str| {
        let path = account_path(&simulator, &format!("IncomingPhoneNumbers.json?{query}"));
        get(&simulator, &path).json()["incoming_phone_numbers"]
            .as_array()
            .unwrap()
            .clone()
    };
    let numbers = simulator.assets().numbers;
    assert_eq!(list("").iter().map(text).collect::<Vec<_>>(), numbers);
    let one = list(&format!("PhoneNumber={}", numbers[3].replace('+', "%2B")));
    assert_eq!(one.iter().map(text).collect::<Vec<_>>(), [numbers[3].clone()]);
    assert_eq!(
        list("FriendlyName=Line+2").iter().map(text).collect::<Vec<_>>(),
        [numbers[1].clone()]
    );
    let path = account_path(
        &simulator,
        &format!("IncomingPhoneNumbers/{}.json", one[0]["sid"].as_str().unwrap()),
    );
    assert_eq!(get(&simulator, &path).json(), one[0]);
}

#[test]
fn pages_of_a_filtered_list_keep_the_filter() {
    let simulator = start(0, 5);
    let path = account_path(
        &simulator,
        "AvailablePhoneNumbers/US/Local.json?AreaCode=415&PageSize=7",
    );
    let (mut next, mut seen) = (Some(path), Vec::new());
    while let Some(path) = next {
        let page = get(&simulator, &path).json();
        seen.extend(
            page["available_phone_numbers"]
                .as_array()
                .unwrap()
                .iter()
                .map(text),
        );
        next = page["next_page_uri"].as_str().map(str::to_owned);
    }
    assert_eq!(seen.len(), 60);
    assert!(seen.iter().all(|number| number.starts_with("+1415")));
    seen.dedup();
    assert_eq!(seen.len(), 60);
}

#[test]
fn numbers_for_sale_are_searched_by_area_digits_and_capability() {
    let simulator = start(0, 5);
    let some = found(
        &simulator,
        "AvailablePhoneNumbers/US/Local.json?AreaCode=617&PageSize=3",
    );
    assert_eq!(some.len(), 3);
    assert!(some.iter().all(|number| text(number).starts_with("+1617")));
    assert_eq!(some[0]["capabilities"]["sms"], true);

    let with_digits = found(
        &simulator,
        "AvailablePhoneNumbers/US/Local.json?Contains=415%2A%2A%2A7&PageSize=1000",
    );
    assert!(!with_digits.is_empty());
    let toll_free = found(&simulator, "AvailablePhoneNumbers/US/TollFree.json?AreaCode=833");
    assert!(!toll_free.is_empty() && toll_free.iter().all(|number| text(number).starts_with("+1833")));
    let landlines = "AvailablePhoneNumbers/GB/Local.json";
    assert!(found(&simulator, &format!("{landlines}?SmsEnabled=true")).is_empty());
    assert!(!found(&simulator, &format!("{landlines}?VoiceEnabled=true")).is_empty());
    assert!(!found(&simulator, "AvailablePhoneNumbers/GB/Mobile.json?SmsEnabled=true").is_empty());

    for (rest, expected) in [
        ("AvailablePhoneNumbers/US/Mobile.json", (404, 20404)),
        ("AvailablePhoneNumbers/XX/Local.json", (404, 20404)),
        ("AvailablePhoneNumbers/US/Local.json?AreaCode=4150", (400, 21451)),
        ("AvailablePhoneNumbers/US/Local.json?Contains=4", (400, 20001)),
    ] {
        assert_eq!(
            get(&simulator, &account_path(&simulator, rest)).refusal(),
            expected,
            "{rest}"
        );
    }
}

#[test]
fn small_lists_have_previous_links_and_the_faults_of_lists() {
    let simulator = start(0, 5);
    let first = account_path(&simulator, "IncomingPhoneNumbers.json?PageSize=5");
    let page = get(&simulator, &first).json();
    let second = get(&simulator, page["next_page_uri"].as_str().unwrap()).json();
    let back = get(&simulator, second["previous_page_uri"].as_str().unwrap()).json();
    assert_eq!(back["incoming_phone_numbers"], page["incoming_phone_numbers"]);
    assert!(back["previous_page_uri"].is_null());

    let next_under = |faults: Faults, path: &str| {
        simulator.set_faults(faults);
        get(&simulator, path).json()
    };
    let foreign = Faults {
        foreign_next_link: Some("https://elsewhere.example".to_owned()),
        ..Faults::default()
    };
    let link = next_under(foreign, "/v2/Services?PageSize=1")["meta"]["next_page_url"].clone();
    assert!(
        link.as_str()
            .unwrap()
            .starts_with("https://elsewhere.example/v2/Services?")
    );
    let repeating = Faults {
        repeat_page: true,
        ..Faults::default()
    };
    let page = next_under(repeating, &first);
    assert_eq!(page["next_page_uri"], page["uri"]);
    let strict = Faults {
        max_page_size: Some(4),
        ..Faults::default()
    };
    assert_eq!(next_under(strict, &first)["code"], 20500);
    let empty = Faults {
        empty_last_page: true,
        ..Faults::default()
    };
    let page = next_under(empty, "/v2/Services?PageSize=2");
    let next = page["meta"]["next_page_url"].as_str().unwrap();
    let last = get(&simulator, next.strip_prefix(&simulator.url()).unwrap()).json();
    assert_eq!(last["services"], Value::Array(vec![]));
}
