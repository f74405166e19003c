//! Routing: finds the product of a request by host and path, and its handler.

use crate::credentials::Caller;
use crate::faults::Faults;
use crate::http::auth::{Resource, authenticate, authorize};
use crate::http::request::ApiRequest;
use crate::http::response::{ApiError, ApiResponse};
use crate::http::{
    account, available, calls, conversations, events, list, lookups, messages, numbers, send, services,
    usage, verify, webhook_configuration,
};
use crate::shared::Shared;

/// One of Twilio's API hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Product {
    Api,
    Verify,
    Lookups,
    Messaging,
    Conversations,
    Events,
    Webhooks,
}

impl Product {
    /// Returns the product of a path. Without a host, as from clients that send everything to one origin, the services of Messaging
    /// and of Conversations differ by their SIDs.
    fn of_path(segments: &[&str], host: Option<&str>) -> Option<Self> {
        match segments {
            ["2010-04-01", ..] => Some(Self::Api),
            ["v2", "Services", ..] => Some(Self::Verify),
            ["v2", "PhoneNumbers", ..] => Some(Self::Lookups),
            ["v1", "Services", sid, ..] if sid.starts_with("IS") => Some(Self::Conversations),
            ["v1", "Services"] if host == Some("conversations") => Some(Self::Conversations),
            ["v1", "Services", ..] => Some(Self::Messaging),
            ["v1", "Configuration", ..] => Some(Self::Conversations),
            ["v1", "Types" | "Schemas" | "Sinks" | "Subscriptions", ..] => Some(Self::Events),
            ["v1", "Webhooks", ..] => Some(Self::Webhooks),
            _ => None,
        }
    }

    /// Returns the first label of the product's host.
    fn label(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Verify => "verify",
            Self::Lookups => "lookups",
            Self::Messaging => "messaging",
            Self::Conversations => "conversations",
            Self::Events => "events",
            Self::Webhooks => "webhooks",
        }
    }

    fn resource(self) -> Resource {
        match self {
            Self::Api => Resource::Administration,
            Self::Verify => Resource::Verify,
            Self::Lookups => Resource::Lookups,
            Self::Messaging => Resource::MessagingServices,
            Self::Conversations => Resource::Conversations,
            Self::Events => Resource::Events,
            Self::Webhooks => Resource::Webhooks,
        }
    }
}

/// Handles a request without a fault.
pub(crate) fn route(shared: &Shared, request: &ApiRequest, faults: &Faults) -> Result<ApiResponse, ApiError> {
    let caller = authenticate(shared, request)?;
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let product = Product::of_path(&segments, request.host_label())
        .filter(|product| request.host_label().is_none_or(|label| label == product.label()))
        .ok_or_else(|| ApiError::not_found(&request.path))?;
    let rest = segments.get(1..).unwrap_or_default();
    if product == Product::Api {
        return api(shared, request, faults, caller, rest);
    }
    let account = shared.credentials.account_of(caller);
    authorize(shared, request, caller, account, product.resource())?;
    match (product, request.method.as_str(), rest) {
        (Product::Verify, "GET", ["Services"]) => verify::services(shared, request, account),
        (Product::Verify, "GET", ["Services", sid]) => verify::service(shared, request, account, sid),
        (Product::Verify, "POST", ["Services", sid, "Verifications"]) => {
            verify::send(shared, request, account, sid)
        }
        (Product::Verify, "GET", ["Services", sid, "Verifications", name]) => {
            verify::fetch(shared, request, account, sid, name)
        }
        (Product::Verify, "POST", ["Services", sid, "Verifications", name]) => {
            verify::update(shared, request, account, sid, name)
        }
        (Product::Verify, "POST", ["Services", sid, "VerificationCheck"]) => {
            verify::check(shared, request, account, sid)
        }
        (Product::Lookups, "GET", ["PhoneNumbers", number]) => lookups::fetch(shared, request, number),
        (Product::Messaging, "GET", ["Services"]) => services::list(shared, request, account),
        (Product::Messaging, "GET", ["Services", sid]) => services::fetch(shared, request, account, sid),
        (Product::Messaging, "POST", ["Services", sid]) => services::update(shared, request, account, sid),
        (Product::Messaging, "GET", ["Services", sid, "PhoneNumbers"]) => {
            services::numbers(shared, request, account, sid)
        }
        (Product::Conversations, _, rest) => conversations::route(shared, request, account, rest),
        (Product::Events, _, rest) => events::route(shared, request, account, rest),
        (Product::Webhooks, _, ["Webhooks", rest @ ..]) => {
            webhook_configuration::route(shared, request, rest)
        }
        _ => Err(unknown(request)),
    }
}

fn api(
    shared: &Shared,
    request: &ApiRequest,
    faults: &Faults,
    caller: Caller,
    segments: &[&str],
) -> Result<ApiResponse, ApiError> {
    let (account, rest) = match segments {
        ["Accounts"] if request.method == "GET" => return account::list(shared, request, caller),
        ["Accounts", account, rest @ ..] => (*account, rest),
        _ => return Err(ApiError::not_found(&request.path)),
    };
    let resource = match rest {
        ["Messages", ..] => Resource::Messages,
        ["Calls", ..] => Resource::Calls,
        ["IncomingPhoneNumbers" | "AvailablePhoneNumbers", ..] => Resource::IncomingPhoneNumbers,
        ["Usage", ..] => Resource::Usage,
        ["Balance"] => Resource::Balance,
        [] | ["Keys", ..] => Resource::Administration,
        _ => return Err(ApiError::not_found(&request.path)),
    };
    authorize(shared, request, caller, account, resource)?;
    match (request.method.as_str(), rest) {
        ("POST", ["Messages"]) => send::send(shared, request, account, caller),
        ("POST", ["Calls"]) => calls::place(shared, request, account, caller),
        // Test credentials have no resources to read or change.
        _ if caller == Caller::Test => Err(ApiError::test_credentials()),
        ("GET", ["Messages"]) => list::list(shared, request, account, faults),
        ("GET", ["Messages", sid]) => messages::fetch(shared, request, account, sid),
        ("POST", ["Messages", sid]) => messages::update(shared, request, account, sid),
        ("DELETE", ["Messages", sid]) => messages::delete(shared, request, account, sid),
        ("GET", ["Calls"]) => calls::list(shared, request, account),
        ("GET", ["Calls", sid]) => calls::fetch(shared, request, account, sid),
        ("POST", ["Calls", sid]) => calls::update(shared, request, account, sid),
        ("GET", []) => account::fetch(shared, request, account),
        ("GET", ["Keys"]) => account::keys(shared, request),
        ("GET", ["IncomingPhoneNumbers"]) => numbers::list(shared, request, account),
        ("GET", ["IncomingPhoneNumbers", sid]) => numbers::fetch(shared, request, account, sid),
        ("POST", ["IncomingPhoneNumbers", sid]) => numbers::update(shared, request, account, sid),
        ("GET", ["AvailablePhoneNumbers", country, kind]) => available::list(shared, request, country, kind),
        ("GET", ["Usage", "Records"]) => usage::records(shared, request, account, None),
        ("GET", ["Usage", "Records", period]) => usage::records(shared, request, account, Some(period)),
        ("GET", ["Balance"]) => Ok(account::balance(account)),
        _ => Err(unknown(request)),
    }
}

/// Returns the error for a path or method that a product does not have.
pub(super) fn unknown(request: &ApiRequest) -> ApiError {
    match request.method.as_str() {
        "GET" | "POST" | "DELETE" => ApiError::not_found(&request.path),
        _ => ApiError::new(405, 20004, "Method not allowed"),
    }
}
