//! Authorization: checks Basic credentials against the account in the path.

use actix_web::http::Method;

use crate::config::Permission;
use crate::credentials::Caller;
use crate::http::request::ApiRequest;
use crate::http::response::ApiError;
use crate::shared::Shared;

/// The resource of a request, for authorization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    /// `/Accounts*` and `/Keys`.
    Administration,
    Messages,
    IncomingPhoneNumbers,
    Usage,
    Balance,
    Calls,
    Verify,
    Lookups,
    MessagingServices,
    Events,
    Conversations,
    Webhooks,
}

/// Returns the caller of a request to any path.
pub(crate) fn authenticate(shared: &Shared, request: &ApiRequest) -> Result<Caller, ApiError> {
    let (username, secret) = request.basic().ok_or_else(ApiError::unauthenticated)?;
    if shared.is_revoked(username) {
        return Err(ApiError::unauthenticated());
    }
    shared
        .credentials
        .check(username, secret)
        .ok_or_else(ApiError::unauthenticated)
}

/// Checks whether the caller may access the resource of the account in the path.
pub(crate) fn authorize(
    shared: &Shared,
    request: &ApiRequest,
    caller: Caller,
    account: &str,
    resource: Resource,
) -> Result<(), ApiError> {
    let known = &shared.credentials;
    if account.starts_with("SK") {
        return Err(ApiError::bad(
            21470,
            format!("Account Sid {account} is not valid"),
        ));
    }
    let own: &[&String] = match caller {
        // The main auth token may read subaccounts; keys may not.
        Caller::Master => &[&known.account_sid, &known.subaccount_sid],
        Caller::MainKey | Caller::StandardKey | Caller::RestrictedKey => &[&known.account_sid],
        Caller::Test => &[&known.test_account_sid],
        Caller::Suspended => &[&known.suspended_account_sid],
        Caller::Subaccount => &[&known.subaccount_sid],
    };
    if !own.iter().any(|sid| *sid == account) {
        let all = [
            &known.account_sid,
            &known.test_account_sid,
            &known.suspended_account_sid,
            &known.subaccount_sid,
        ];
        let exists = all.iter().any(|sid| *sid == account);
        return Err(if exists {
            ApiError::unauthenticated()
        } else {
            ApiError::not_found(&request.path)
        });
    }
    match caller {
        Caller::StandardKey | Caller::RestrictedKey if resource == Resource::Administration => {
            Err(ApiError::unauthenticated())
        }
        // The webhooks configuration API is for API keys.
        Caller::Master | Caller::Subaccount if resource == Resource::Webhooks => {
            Err(ApiError::unauthenticated())
        }
        Caller::Master | Caller::MainKey | Caller::Subaccount | Caller::StandardKey => Ok(()),
        Caller::RestrictedKey if shared.restricted.contains(&needed(resource, &request.method)) => Ok(()),
        Caller::RestrictedKey => Err(ApiError::new(403, 70051, "Authorization Failed")),
        Caller::Test if is_allowed_in_test(resource, &request.method) => Ok(()),
        Caller::Test => Err(ApiError::test_credentials()),
        Caller::Suspended if resource == Resource::Administration && request.method == Method::GET => Ok(()),
        Caller::Suspended if request.method == Method::GET => Err(ApiError::new(
            403,
            20403,
            format!("Account {account} is suspended"),
        )),
        Caller::Suspended => Err(ApiError::new(
            403,
            20005,
            format!("Account {account} is not active"),
        )),
    }
}

/// Returns whether test credentials may do this: sending, calling and looking up numbers.
fn is_allowed_in_test(resource: Resource, method: &Method) -> bool {
    match resource {
        Resource::Messages | Resource::Calls => method == Method::POST,
        Resource::Lookups => true,
        Resource::Administration
        | Resource::IncomingPhoneNumbers
        | Resource::Usage
        | Resource::Balance
        | Resource::Verify
        | Resource::MessagingServices
        | Resource::Events
        | Resource::Conversations
        | Resource::Webhooks => false,
    }
}

fn needed(resource: Resource, method: &Method) -> Permission {
    match resource {
        Resource::Messages if method == Method::GET => Permission::MessagesRead,
        Resource::Messages | Resource::Administration => Permission::MessagesWrite,
        Resource::IncomingPhoneNumbers => Permission::IncomingPhoneNumbers,
        Resource::Usage => Permission::Usage,
        Resource::Balance => Permission::Balance,
        Resource::Calls if method == Method::GET => Permission::CallsRead,
        Resource::Calls => Permission::CallsWrite,
        Resource::Verify => Permission::Verify,
        Resource::Lookups => Permission::Lookups,
        Resource::MessagingServices => Permission::MessagingServices,
        Resource::Events => Permission::Events,
        Resource::Conversations => Permission::Conversations,
        Resource::Webhooks => Permission::Webhooks,
    }
}
