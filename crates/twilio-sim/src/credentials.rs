//! The simulator's accounts and keys, derived from its seed.

use serde::{Deserialize, Serialize};

use crate::random::mix;
use crate::sid::fixed;

/// Every user name and secret that the simulator accepts. SIDs look like Twilio's. Each secret has 32 characters and a prefix
/// (`simtok`, `simkey`), so that tests can search for it in logs and databases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "a SID and its secret for each kind of credential")]
pub struct Credentials {
    pub account_sid: String,
    pub auth_token: String,
    pub main_key_sid: String,
    pub main_key_secret: String,
    pub standard_key_sid: String,
    pub standard_key_secret: String,
    pub restricted_key_sid: String,
    pub restricted_key_secret: String,
    pub test_account_sid: String,
    pub test_auth_token: String,
    pub suspended_account_sid: String,
    pub suspended_auth_token: String,
    pub subaccount_sid: String,
    pub subaccount_auth_token: String,
}

/// The kind of credentials of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Account SID and Auth Token of the main account.
    Master,
    MainKey,
    StandardKey,
    RestrictedKey,
    Test,
    Suspended,
    Subaccount,
}

impl Credentials {
    pub(crate) fn new(seed: u64) -> Self {
        let secret = |kind: &str, subject: u64| -> String {
            let random = mix(seed ^ mix(subject ^ 0x5EC));
            let more = mix(random);
            format!("{kind}{random:016x}{:010x}", more >> 24)
        };
        Self {
            account_sid: fixed("AC", seed, 1),
            auth_token: secret("simtok", 1),
            main_key_sid: fixed("SK", seed, 2),
            main_key_secret: secret("simkey", 2),
            standard_key_sid: fixed("SK", seed, 3),
            standard_key_secret: secret("simkey", 3),
            restricted_key_sid: fixed("SK", seed, 4),
            restricted_key_secret: secret("simkey", 4),
            test_account_sid: fixed("AC", seed, 5),
            test_auth_token: secret("simtok", 5),
            suspended_account_sid: fixed("AC", seed, 6),
            suspended_auth_token: secret("simtok", 6),
            subaccount_sid: fixed("AC", seed, 7),
            subaccount_auth_token: secret("simtok", 7),
        }
    }

    /// Returns the caller with this user name and secret, if they match.
    pub(crate) fn check(&self, username: &str, secret: &str) -> Option<Caller> {
        [
            (&self.account_sid, &self.auth_token, Caller::Master),
            (&self.main_key_sid, &self.main_key_secret, Caller::MainKey),
            (
                &self.standard_key_sid,
                &self.standard_key_secret,
                Caller::StandardKey,
            ),
            (
                &self.restricted_key_sid,
                &self.restricted_key_secret,
                Caller::RestrictedKey,
            ),
            (&self.test_account_sid, &self.test_auth_token, Caller::Test),
            (
                &self.suspended_account_sid,
                &self.suspended_auth_token,
                Caller::Suspended,
            ),
            (
                &self.subaccount_sid,
                &self.subaccount_auth_token,
                Caller::Subaccount,
            ),
        ]
        .into_iter()
        .find_map(|(name, known, caller)| (name == username && known == secret).then_some(caller))
    }

    /// Returns the account of a caller's credentials, for APIs whose paths have no account.
    pub(crate) fn account_of(&self, caller: Caller) -> &str {
        match caller {
            Caller::Master | Caller::MainKey | Caller::StandardKey | Caller::RestrictedKey => {
                &self.account_sid
            }
            Caller::Test => &self.test_account_sid,
            Caller::Suspended => &self.suspended_account_sid,
            Caller::Subaccount => &self.subaccount_sid,
        }
    }
}
