//! The account: its record, its keys and its balance.

use serde_json::{Value, json};

use crate::credentials::Caller;
use crate::dates::{DAY, rfc2822};
use crate::http::page;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::shared::Shared;

/// Returns one account, including its Auth Token.
pub(crate) fn fetch(shared: &Shared, request: &ApiRequest, sid: &str) -> Result<ApiResponse, ApiError> {
    account(shared, sid)
        .map(|account| ApiResponse::value(200, &account))
        .ok_or_else(|| ApiError::not_found(&request.path))
}

/// Lists the accounts that the caller may see.
pub(crate) fn list(shared: &Shared, request: &ApiRequest, caller: Caller) -> Result<ApiResponse, ApiError> {
    let known = &shared.credentials;
    let sids: &[&String] = match caller {
        Caller::Master | Caller::MainKey => &[&known.account_sid, &known.subaccount_sid],
        Caller::Subaccount => &[&known.subaccount_sid],
        Caller::Suspended => &[&known.suspended_account_sid],
        Caller::StandardKey | Caller::RestrictedKey => return Err(ApiError::unauthenticated()),
        Caller::Test => {
            return Err(ApiError::test_credentials());
        }
    };
    let accounts = sids.iter().filter_map(|sid| account(shared, sid)).collect();
    page::flat(shared, request, "accounts", accounts)
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
            "available_phone_numbers": uri("/AvailablePhoneNumbers"),
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

/// Lists the keys of the main account.
pub(crate) fn keys(shared: &Shared, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    let known = &shared.credentials;
    let created = rfc2822(shared.clock.seconds() - 300 * DAY);
    let keys = [(&known.main_key_sid, "main"), (&known.standard_key_sid, "standard"), (&known.restricted_key_sid, "restricted")]
        .into_iter()
        .map(|(sid, name)| json!({"sid": sid, "friendly_name": name, "date_created": created, "date_updated": created}))
        .collect();
    page::flat(shared, request, "keys", keys)
}

/// Returns the balance.
pub(crate) fn balance(account: &str) -> ApiResponse {
    ApiResponse::value(
        200,
        &json!({"account_sid": account, "balance": "1234.5678", "currency": "USD"}),
    )
}
