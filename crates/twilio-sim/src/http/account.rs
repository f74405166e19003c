//! The small resources: accounts, keys, numbers, usage, balance.

use serde_json::{Value, json};

use crate::credentials::Caller;
use crate::dates::{DAY, rfc2822};
use crate::filter::page_size;
use crate::http::call::Call;
use crate::http::reply::{Refusal, Reply};
use crate::shared::Shared;
use crate::sid::fixed;

/// One account, Auth Token and all.
pub(crate) fn fetch(shared: &Shared, call: &Call, sid: &str) -> Result<Reply, Refusal> {
    account(shared, sid)
        .map(|account| Reply::value(200, &account))
        .ok_or_else(|| Refusal::not_found(&call.path))
}

/// The accounts that the caller sees.
pub(crate) fn list(shared: &Shared, call: &Call, caller: Caller) -> Result<Reply, Refusal> {
    let known = &shared.credentials;
    let sids: &[&String] = match caller {
        Caller::Master | Caller::MainKey => &[&known.account_sid, &known.subaccount_sid],
        Caller::Subaccount => &[&known.subaccount_sid],
        Caller::Suspended => &[&known.suspended_account_sid],
        Caller::StandardKey | Caller::RestrictedKey => return Err(Refusal::authenticate()),
        Caller::Test => {
            return Err(Refusal::new(
                403,
                20008,
                "Resource not accessible with Test Account Credentials",
            ));
        }
    };
    let accounts = sids.iter().filter_map(|sid| account(shared, sid)).collect();
    page(call, "accounts", accounts)
}

fn account(shared: &Shared, sid: &str) -> Option<Value> {
    let known = &shared.credentials;
    let (token, name, status, owner) = match sid {
        sid if sid == known.account_sid => (&known.auth_token, "Simulated account", "active", sid),
        sid if sid == known.subaccount_sid => (
            &known.subaccount_auth_token,
            "Simulated subaccount",
            "active",
            known.account_sid.as_str(),
        ),
        sid if sid == known.suspended_account_sid => {
            (&known.suspended_auth_token, "Suspended account", "suspended", sid)
        }
        _ => return None,
    };
    let created = rfc2822(shared.clock.seconds() - 900 * DAY);
    let uri = |rest: &str| format!("/2010-04-01/Accounts/{sid}{rest}.json");
    Some(json!({
        "auth_token": token,
        "date_created": created,
        "date_updated": created,
        "friendly_name": name,
        "owner_account_sid": owner,
        "sid": sid,
        "status": status,
        "type": "Full",
        "subresource_uris": {
            "balance": uri("/Balance"),
            "calls": uri("/Calls"),
            "incoming_phone_numbers": uri("/IncomingPhoneNumbers"),
            "keys": uri("/Keys"),
            "messages": uri("/Messages"),
            "usage": uri("/Usage"),
        },
        "uri": uri(""),
    }))
}

/// The keys of the main account.
pub(crate) fn keys(shared: &Shared, call: &Call) -> Result<Reply, Refusal> {
    let known = &shared.credentials;
    let created = rfc2822(shared.clock.seconds() - 300 * DAY);
    let keys = [(&known.main_key_sid, "main"), (&known.standard_key_sid, "standard"), (&known.restricted_key_sid, "restricted")]
        .into_iter()
        .map(|(sid, name)| json!({"sid": sid, "friendly_name": name, "date_created": created, "date_updated": created}))
        .collect();
    page(call, "keys", keys)
}

/// The account's numbers.
pub(crate) fn numbers(shared: &Shared, call: &Call, account: &str) -> Result<Reply, Refusal> {
    let (world, now) = shared.read_of(account);
    let created = rfc2822(now - 400 * DAY);
    let wanted = call.parameter("PhoneNumber");
    let numbers = (0..)
        .zip(&world.planner.numbers)
        .map(|(index, number)| {
            let sid = fixed("PN", world.planner.seed, 200 + index);
            json!({
                "sid": sid,
                "account_sid": account,
                "friendly_name": format!("Line {}", index + 1),
                "phone_number": format!("+{number}"),
                "capabilities": {"voice": true, "sms": true, "mms": index % 2 == 0, "fax": false},
                "sms_url": "https://demo.twilio.com/welcome/sms/reply",
                "sms_method": "POST",
                "sms_fallback_url": "",
                "sms_fallback_method": "POST",
                "sms_application_sid": "",
                "voice_url": "https://demo.twilio.com/welcome/voice/",
                "voice_method": "POST",
                "voice_fallback_url": null,
                "voice_fallback_method": "POST",
                "voice_application_sid": null,
                "voice_caller_id_lookup": false,
                "voice_receive_mode": "voice",
                "status_callback": "",
                "status_callback_method": "POST",
                "trunk_sid": null,
                "bundle_sid": null,
                "address_sid": null,
                "address_requirements": "none",
                "identity_sid": null,
                "emergency_status": "Active",
                "emergency_address_sid": null,
                "emergency_address_status": "unregistered",
                "status": "in-use",
                "type": "local",
                "beta": false,
                "origin": "twilio",
                "api_version": "2010-04-01",
                "date_created": created,
                "date_updated": created,
                "uri": format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{sid}.json"),
            })
        })
        .filter(|number| {
            wanted
                .as_ref()
                .is_none_or(|wanted| number.get("phone_number") == Some(&json!(wanted)))
        })
        .collect();
    drop(world);
    page(call, "incoming_phone_numbers", numbers)
}

/// Usage of today, one record for each of a few categories.
pub(crate) fn usage(shared: &Shared, call: &Call, account: &str) -> Result<Reply, Refusal> {
    let today = shared.clock.now().format("%Y-%m-%d").to_string();
    let records = [("sms-outbound", 57_u32), ("sms-inbound", 30), ("mms-outbound", 4)]
        .into_iter()
        .map(|(category, count)| {
            json!({
                "account_sid": account,
                "api_version": "2010-04-01",
                "as_of": shared.clock.now().format("%Y-%m-%dT%H:%M:%S+00:00").to_string(),
                "category": category,
                "count": count.to_string(),
                "count_unit": "messages",
                "description": category,
                "start_date": today,
                "end_date": today,
                "price": format!("{:.4}", f64::from(count) * 0.0075),
                "price_unit": "usd",
                "usage": count.to_string(),
                "usage_unit": "segments",
                "subresource_uris": {},
                "uri": format!("/2010-04-01/Accounts/{account}/Usage/Records/Today.json?Category={category}"),
            })
        })
        .collect();
    page(call, "usage_records", records)
}

/// What is left.
pub(crate) fn balance(account: &str) -> Reply {
    Reply::value(
        200,
        &json!({"account_sid": account, "balance": "1234.5678", "currency": "USD"}),
    )
}

/// A page of a small list, with the same envelope and tokens as the large one.
fn page(call: &Call, key: &str, items: Vec<Value>) -> Result<Reply, Refusal> {
    let size = match call.parameter("PageSize") {
        Some(text) => page_size(&text).map_err(|_| {
            Refusal::bad(
                20001,
                format!("Page size must be between 1 and 1000, not '{text}'"),
            )
        })?,
        None => 50,
    };
    let number = call
        .parameter("Page")
        .and_then(|page| page.parse::<u64>().ok())
        .unwrap_or(0);
    let token = call.parameter("PageToken");
    if number > 0 && token.is_none() {
        return Err(Refusal::bad(20001, "PageToken is required for paging."));
    }
    let sid = |item: &Value| {
        item.get("sid")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let skip = match token {
        None => 0,
        Some(token) => items
            .iter()
            .position(|item| token == format!("PA{}", sid(item)))
            .map(|at| at + 1)
            .ok_or_else(|| Refusal::bad(21481, "Invalid PageToken"))?,
    };
    let total = items.len();
    let taken: Vec<_> = items
        .into_iter()
        .skip(skip)
        .take(usize::try_from(size).unwrap_or(50))
        .collect();
    let more = skip + taken.len() < total;
    let uri = |page: u64, token: String| format!("{}?PageSize={size}&Page={page}{token}", call.path);
    let next = taken
        .last()
        .filter(|_| more)
        .map(|last| uri(number.saturating_add(1), format!("&PageToken=PA{}", sid(last))));
    let start = number.saturating_mul(u64::from(size));
    let mut body = json!({
        "first_page_uri": uri(0, String::new()),
        "end": start.saturating_add(u64::try_from(taken.len()).unwrap_or(0)).saturating_sub(1).max(start),
        "previous_page_uri": null,
        "uri": if call.query.is_empty() { uri(0, String::new()) } else { format!("{}?{}", call.path, call.query) },
        "page_size": size,
        "start": start,
        "next_page_uri": next,
        "page": number,
    });
    if let Value::Object(fields) = &mut body {
        fields.insert(key.to_owned(), Value::Array(taken));
    }
    Ok(Reply::value(200, &body))
}
