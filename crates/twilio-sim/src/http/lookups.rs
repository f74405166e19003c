//! Lookup v2: details of a number. An invalid number is a success too: `valid` is false, with the reason.

use serde_json::{Value, json};

use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::phone::{Invalid, Phone};
use crate::shared::Shared;

/// The data packages, in Twilio's order. The response says that packages unknown to the simulator are not enabled.
const PACKAGES: [&str; 10] = [
    "caller_name",
    "sim_swap",
    "call_forwarding",
    "line_type_intelligence",
    "line_status",
    "identity_match",
    "reassigned_number",
    "sms_pumping_risk",
    "phone_number_quality_score",
    "pre_fill",
];

/// Returns the details of one number.
pub(crate) fn fetch(shared: &Shared, request: &ApiRequest, number: &str) -> Result<ApiResponse, ApiError> {
    let fields = request.parameter("Fields").unwrap_or_default();
    let wanted: Vec<_> = fields
        .split(',')
        .map(str::trim)
        .filter(|field| !field.is_empty())
        .collect();
    if let Some(unknown) = wanted
        .iter()
        .find(|field| **field != "validation" && !PACKAGES.contains(field))
    {
        return Err(ApiError::bad(20001, format!("Invalid Fields value: '{unknown}'")));
    }
    let read = Phone::parse(number, request.parameter("CountryCode").as_deref());
    let mut body = match &read {
        Ok(phone) => json!({
            "calling_country_code": phone.dial,
            "country_code": phone.iso,
            "phone_number": phone.e164(),
            "national_format": phone.national_format(),
            "valid": true,
            "validation_errors": [],
        }),
        Err(Invalid { dial, number, reason }) => json!({
            "calling_country_code": dial,
            "country_code": null,
            "phone_number": number,
            "national_format": null,
            "valid": false,
            "validation_errors": [reason],
        }),
    };
    let url = format!("{}/v2/PhoneNumbers/{}", request.origin(shared), number);
    if let Value::Object(all) = &mut body {
        for package in PACKAGES {
            let asked = wanted.contains(&package);
            let value = read
                .as_ref()
                .ok()
                .filter(|_| asked)
                .map_or(Value::Null, |phone| describe(package, phone));
            all.insert(package.to_owned(), value);
        }
        all.insert("url".to_owned(), Value::String(url));
    }
    Ok(ApiResponse::value(200, &body))
}

fn describe(package: &str, phone: &Phone) -> Value {
    match package {
        "line_type_intelligence" => {
            let line = phone.line();
            json!({
                "mobile_country_code": line.network.map(|(country, _)| country),
                "mobile_network_code": line.network.map(|(_, network)| network),
                "carrier_name": line.carrier,
                "type": line.kind,
                "error_code": null,
            })
        }
        "caller_name" if phone.dial == "1" => {
            json!({"caller_name": "SIMULATED CALLER", "caller_type": "CONSUMER", "error_code": null})
        }
        "caller_name" => json!({"caller_name": null, "caller_type": null, "error_code": 60600}),
        // Packages that Twilio must first enable for an account.
        _ => json!({"error_code": 60606}),
    }
}
