//! Lookup v2: what can be said of a number. An impossible one is a good answer too: `valid` is false and says why.

use serde_json::{Value, json};

use crate::http::call::Call;
use crate::http::reply::{Refusal, Reply};
use crate::phone::{Invalid, Phone};
use crate::shared::Shared;

/// The data packages, in the order of Twilio's answer. Those that the simulator does not know are answered as not enabled.
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

/// Answers about one number.
pub(crate) fn fetch(shared: &Shared, call: &Call, number: &str) -> Result<Reply, Refusal> {
    let fields = call.parameter("Fields").unwrap_or_default();
    let wanted: Vec<_> = fields
        .split(',')
        .map(str::trim)
        .filter(|field| !field.is_empty())
        .collect();
    if let Some(unknown) = wanted
        .iter()
        .find(|field| **field != "validation" && !PACKAGES.contains(field))
    {
        return Err(Refusal::bad(20001, format!("Invalid Fields value: '{unknown}'")));
    }
    let read = Phone::read(number, call.parameter("CountryCode").as_deref());
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
    let url = format!("{}/v2/PhoneNumbers/{}", call.origin(shared), number);
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
    Ok(Reply::value(200, &body))
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
        // Packages that an account must first be given.
        _ => json!({"error_code": 60606}),
    }
}
