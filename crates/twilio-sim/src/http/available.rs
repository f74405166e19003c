//! `…/AvailablePhoneNumbers/{Country}/{Kind}`: numbers for sale, always the same for a seed.

use serde_json::{Value, json};

use crate::http::page;
use crate::http::pattern::Pattern;
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::phone::{Phone, TOLL_FREE};
use crate::random::{below, draw};
use crate::shared::Shared;

/// Numbers on offer in each area.
const EACH: u64 = 60;

/// A city, by its area code.
struct Area {
    code: &'static str,
    locality: &'static str,
    region: &'static str,
    postal_code: &'static str,
    latitude: f64,
    longitude: f64,
}

const AREAS: [Area; 6] = [
    area("415", "San Francisco", "CA", "94105", 37.7897, -122.3942),
    area("206", "Seattle", "WA", "98101", 47.6101, -122.3344),
    area("212", "New York", "NY", "10001", 40.7506, -73.9972),
    area("303", "Denver", "CO", "80202", 39.7491, -104.9946),
    area("512", "Austin", "TX", "78701", 30.2711, -97.7437),
    area("416", "Toronto", "ON", "M5H", 43.6500, -79.3837),
];

const fn area(
    code: &'static str,
    locality: &'static str,
    region: &'static str,
    postal_code: &'static str,
    latitude: f64,
    longitude: f64,
) -> Area {
    Area {
        code,
        locality,
        region,
        postal_code,
        latitude,
        longitude,
    }
}

/// Numbers for sale: `prefix` followed by `digits` digits.
struct Offer<'a> {
    prefix: String,
    digits: u32,
    area: Option<&'a Area>,
    sms: bool,
}

/// Searches numbers.
pub(crate) fn list(
    shared: &Shared,
    request: &ApiRequest,
    country: &str,
    kind: &str,
) -> Result<ApiResponse, ApiError> {
    let code = request.parameter("AreaCode").filter(|code| !code.is_empty());
    let north_american = matches!(country, "US" | "CA");
    if north_american
        && code
            .as_ref()
            .is_some_and(|code| code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Err(ApiError::bad(21451, "Invalid AreaCode"));
    }
    let pattern = request.parameter("Contains").filter(|text| !text.is_empty());
    if pattern.as_ref().is_some_and(|text| text.len() < 2) {
        return Err(ApiError::bad(
            20001,
            "Contains must be at least two characters long",
        ));
    }
    let pattern = pattern.map(|text| Pattern::parse(&text));
    let offers = offers(country, kind, code.as_deref()).ok_or_else(|| ApiError::not_found(&request.path))?;
    let wants = |name: &str| {
        request
            .parameter(name)
            .map(|value| value.eq_ignore_ascii_case("true"))
    };
    let (sms, mms, voice) = (wants("SmsEnabled"), wants("MmsEnabled"), wants("VoiceEnabled"));
    let found = (0_u64..)
        .zip(&offers)
        .filter(|(_, offer)| {
            !north_american
                || code
                    .as_ref()
                    .is_none_or(|code| offer.prefix.strip_prefix('1') == Some(code))
        })
        .flat_map(|(index, offer)| (0..EACH).map(move |number| (index * EACH + number, offer)))
        .filter(|(_, offer)| {
            let fits = |wanted: Option<bool>, has: bool| wanted.is_none_or(|wanted| wanted == has);
            fits(sms, offer.sms) && fits(mms, offer.sms && north_american) && fits(voice, true)
        })
        .map(|(rank, offer)| {
            let width = usize::try_from(offer.digits).unwrap_or(7);
            let rest = below(draw(shared.seed, rank, 0xB0), 9 * 10_u64.pow(offer.digits - 1));
            let rest = rest + 10_u64.pow(offer.digits - 1);
            (offer, format!("+{}{rest:0width$}", offer.prefix))
        })
        .filter(|(_, number)| pattern.as_ref().is_none_or(|pattern| pattern.is_in(number)))
        .map(|(offer, number)| resource(country, offer, &number))
        .collect();
    page::flat(shared, request, "available_phone_numbers", found)
}

/// Returns the offers of a country by type; `None` if Twilio does not sell such numbers there.
fn offers(country: &str, kind: &str, code: Option<&str>) -> Option<Vec<Offer<'static>>> {
    let plain = |prefix: &str, digits, sms| {
        Some(vec![Offer {
            prefix: prefix.to_owned(),
            digits,
            area: None,
            sms,
        }])
    };
    let elsewhere =
        code.filter(|code| !code.starts_with(['0', '1']) && AREAS.iter().all(|area| area.code != *code));
    match (country, kind, elsewhere) {
        ("US", "Local", Some(code)) => plain(&format!("1{code}"), 7, true),
        ("US" | "CA", "Local", _) => Some(
            AREAS
                .iter()
                .filter(|area| (area.code == "416") == (country == "CA"))
                .map(|area| Offer {
                    prefix: format!("1{}", area.code),
                    digits: 7,
                    area: Some(area),
                    sms: true,
                })
                .collect(),
        ),
        ("US" | "CA", "TollFree", _) => Some(
            TOLL_FREE
                .iter()
                .map(|code| Offer {
                    prefix: format!("1{code}"),
                    digits: 7,
                    area: None,
                    sms: true,
                })
                .collect(),
        ),
        ("GB", "Local", _) => plain("4420", 8, false),
        ("GB", "Mobile", _) => plain("447", 9, true),
        ("GB", "TollFree", _) => plain("44808", 7, false),
        ("DE", "Local", _) => plain("4930", 8, false),
        ("DE", "Mobile", _) => plain("4915", 9, true),
        _ => None,
    }
}

fn resource(country: &str, offer: &Offer<'_>, number: &str) -> Value {
    let area = offer.area;
    let north_american = matches!(country, "US" | "CA");
    let name = Phone::parse(number, None).map_or_else(|_| number.to_owned(), |phone| phone.national_format());
    json!({
        "friendly_name": name,
        "phone_number": number,
        "lata": area.map(|_| "722"),
        "locality": area.map(|area| area.locality),
        "rate_center": area.map(|area| area.locality.to_uppercase()),
        "latitude": area.map(|area| area.latitude),
        "longitude": area.map(|area| area.longitude),
        "region": area.map(|area| area.region),
        "postal_code": area.map(|area| area.postal_code),
        "iso_country": country,
        "address_requirements": if north_american { "none" } else { "any" },
        "beta": false,
        "capabilities": {
            "voice": true,
            "sms": offer.sms,
            "mms": offer.sms && north_american,
            "fax": false,
        },
    })
}
