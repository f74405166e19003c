//! Which product a request is for, by host and path, and which handler answers it.

use crate::credentials::Caller;
use crate::faults::Faults;
use crate::http::auth::{Subject, admit, identify};
use crate::http::call::Call;
use crate::http::reply::{Refusal, Reply};
use crate::http::{
    account, available, calls, list, lookups, messages, numbers, send, services, usage, verify,
};
use crate::shared::Shared;

/// One of Twilio's API hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Product {
    Api,
    Verify,
    Lookups,
    Messaging,
}

impl Product {
    /// A path is enough to tell the product, for callers that send everything to one origin.
    fn of_path(segments: &[&str]) -> Option<Self> {
        match segments {
            ["2010-04-01", ..] => Some(Self::Api),
            ["v2", "Services", ..] => Some(Self::Verify),
            ["v2", "PhoneNumbers", ..] => Some(Self::Lookups),
            ["v1", "Services", ..] => Some(Self::Messaging),
            _ => None,
        }
    }

    /// The first label of its host.
    fn label(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Verify => "verify",
            Self::Lookups => "lookups",
            Self::Messaging => "messaging",
        }
    }

    fn subject(self) -> Subject {
        match self {
            Self::Api => Subject::Administration,
            Self::Verify => Subject::Verify,
            Self::Lookups => Subject::Lookups,
            Self::Messaging => Subject::MessagingServices,
        }
    }
}

/// Answers a request that no fault has answered.
pub(crate) fn route(shared: &Shared, call: &Call, faults: &Faults) -> Result<Reply, Refusal> {
    let caller = identify(shared, call)?;
    let segments = call.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let product = Product::of_path(&segments)
        .filter(|product| call.host_label().is_none_or(|label| label == product.label()))
        .ok_or_else(|| Refusal::not_found(&call.path))?;
    let rest = segments.get(1..).unwrap_or_default();
    if product == Product::Api {
        return api(shared, call, faults, caller, rest);
    }
    let account = shared.credentials.account_of(caller);
    admit(shared, call, caller, account, product.subject())?;
    match (product, call.method.as_str(), rest) {
        (Product::Verify, "GET", ["Services"]) => verify::services(shared, call, account),
        (Product::Verify, "GET", ["Services", sid]) => verify::service(shared, call, account, sid),
        (Product::Verify, "POST", ["Services", sid, "Verifications"]) => {
            verify::send(shared, call, account, sid)
        }
        (Product::Verify, "GET", ["Services", sid, "Verifications", name]) => {
            verify::fetch(shared, call, account, sid, name)
        }
        (Product::Verify, "POST", ["Services", sid, "Verifications", name]) => {
            verify::update(shared, call, account, sid, name)
        }
        (Product::Verify, "POST", ["Services", sid, "VerificationCheck"]) => {
            verify::check(shared, call, account, sid)
        }
        (Product::Lookups, "GET", ["PhoneNumbers", number]) => lookups::fetch(shared, call, number),
        (Product::Messaging, "GET", ["Services"]) => services::list(shared, call, account),
        (Product::Messaging, "GET", ["Services", sid]) => services::fetch(shared, call, account, sid),
        (Product::Messaging, "GET", ["Services", sid, "PhoneNumbers"]) => {
            services::numbers(shared, call, account, sid)
        }
        _ => Err(unknown(call)),
    }
}

fn api(
    shared: &Shared,
    call: &Call,
    faults: &Faults,
    caller: Caller,
    segments: &[&str],
) -> Result<Reply, Refusal> {
    let (account, rest) = match segments {
        ["Accounts"] if call.method == "GET" => return account::list(shared, call, caller),
        ["Accounts", account, rest @ ..] => (*account, rest),
        _ => return Err(Refusal::not_found(&call.path)),
    };
    let subject = match rest {
        ["Messages", ..] => Subject::Messages,
        ["Calls", ..] => Subject::Calls,
        ["IncomingPhoneNumbers" | "AvailablePhoneNumbers", ..] => Subject::IncomingPhoneNumbers,
        ["Usage", ..] => Subject::Usage,
        ["Balance"] => Subject::Balance,
        [] | ["Keys", ..] => Subject::Administration,
        _ => return Err(Refusal::not_found(&call.path)),
    };
    admit(shared, call, caller, account, subject)?;
    match (call.method.as_str(), rest) {
        ("POST", ["Messages"]) => send::send(shared, call, account, caller),
        ("POST", ["Calls"]) => calls::place(shared, call, account, caller),
        // Test credentials own nothing that could be read or changed.
        _ if caller == Caller::Test => Err(Refusal::test_credentials()),
        ("GET", ["Messages"]) => list::list(shared, call, account, faults),
        ("GET", ["Messages", sid]) => messages::fetch(shared, call, account, sid),
        ("POST", ["Messages", sid]) => messages::update(shared, call, account, sid),
        ("DELETE", ["Messages", sid]) => messages::delete(shared, call, account, sid),
        ("GET", ["Calls"]) => calls::list(shared, call, account),
        ("GET", ["Calls", sid]) => calls::fetch(shared, call, account, sid),
        ("POST", ["Calls", sid]) => calls::update(shared, call, account, sid),
        ("GET", []) => account::fetch(shared, call, account),
        ("GET", ["Keys"]) => account::keys(shared, call),
        ("GET", ["IncomingPhoneNumbers"]) => numbers::list(shared, call, account),
        ("GET", ["IncomingPhoneNumbers", sid]) => numbers::fetch(shared, call, account, sid),
        ("GET", ["AvailablePhoneNumbers", country, kind]) => available::list(shared, call, country, kind),
        ("GET", ["Usage", "Records"]) => usage::records(shared, call, account, None),
        ("GET", ["Usage", "Records", period]) => usage::records(shared, call, account, Some(period)),
        ("GET", ["Balance"]) => Ok(account::balance(account)),
        _ => Err(unknown(call)),
    }
}

fn unknown(call: &Call) -> Refusal {
    match call.method.as_str() {
        "GET" | "POST" | "DELETE" => Refusal::not_found(&call.path),
        _ => Refusal::new(405, 20004, "Method not allowed"),
    }
}
