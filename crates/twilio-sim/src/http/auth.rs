//! Who may see what: Basic credentials against the account in the path.

use actix_web::http::Method;

use crate::config::Permission;
use crate::credentials::Caller;
use crate::http::call::Call;
use crate::http::reply::Refusal;
use crate::shared::Shared;

/// What a request is about, for the decision whether the caller may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
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
}

/// Identifies the caller, whatever the path.
pub(crate) fn identify(shared: &Shared, call: &Call) -> Result<Caller, Refusal> {
    let (username, secret) = call.basic().ok_or_else(Refusal::authenticate)?;
    if shared.is_revoked(username) {
        return Err(Refusal::authenticate());
    }
    shared
        .credentials
        .check(username, secret)
        .ok_or_else(Refusal::authenticate)
}

/// Decides whether the caller may do this to the account in the path.
pub(crate) fn admit(
    shared: &Shared,
    call: &Call,
    caller: Caller,
    account: &str,
    subject: Subject,
) -> Result<(), Refusal> {
    let known = &shared.credentials;
    if account.starts_with("SK") {
        return Err(Refusal::bad(21470, format!("Account Sid {account} is not valid")));
    }
    let own: &[&String] = match caller {
        // The master token reads its subaccounts; keys do not.
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
            Refusal::authenticate()
        } else {
            Refusal::not_found(&call.path)
        });
    }
    match caller {
        Caller::StandardKey | Caller::RestrictedKey if subject == Subject::Administration => {
            Err(Refusal::authenticate())
        }
        Caller::Master | Caller::MainKey | Caller::Subaccount | Caller::StandardKey => Ok(()),
        Caller::RestrictedKey if shared.restricted.contains(&needed(subject, &call.method)) => Ok(()),
        Caller::RestrictedKey => Err(Refusal::new(403, 70051, "Authorization Failed")),
        Caller::Test if may_be_tested(subject, &call.method) => Ok(()),
        Caller::Test => Err(Refusal::test_credentials()),
        Caller::Suspended if subject == Subject::Administration && call.method == Method::GET => Ok(()),
        Caller::Suspended if call.method == Method::GET => Err(Refusal::new(
            403,
            20403,
            format!("Account {account} is suspended"),
        )),
        Caller::Suspended => Err(Refusal::new(
            403,
            20005,
            format!("Account {account} is not active"),
        )),
    }
}

/// What test credentials reach: sending, calling and looking numbers up.
fn may_be_tested(subject: Subject, method: &Method) -> bool {
    match subject {
        Subject::Messages | Subject::Calls => method == Method::POST,
        Subject::Lookups => true,
        Subject::Administration
        | Subject::IncomingPhoneNumbers
        | Subject::Usage
        | Subject::Balance
        | Subject::Verify
        | Subject::MessagingServices => false,
    }
}

fn needed(subject: Subject, method: &Method) -> Permission {
    match subject {
        Subject::Messages if method == Method::GET => Permission::MessagesRead,
        Subject::Messages | Subject::Administration => Permission::MessagesWrite,
        Subject::IncomingPhoneNumbers => Permission::IncomingPhoneNumbers,
        Subject::Usage => Permission::Usage,
        Subject::Balance => Permission::Balance,
        Subject::Calls if method == Method::GET => Permission::CallsRead,
        Subject::Calls => Permission::CallsWrite,
        Subject::Verify => Permission::Verify,
        Subject::Lookups => Permission::Lookups,
        Subject::MessagingServices => Permission::MessagingServices,
    }
}
