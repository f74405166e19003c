//! A provider's no, read by the rules of its file.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use domain::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use serde_json::Value;
use url::form_urlencoded;

use crate::error::excerpt;
use crate::request::basic_pair;
use crate::{Answer, RetryAfter, Target, json, retry};

/// What `encodeURIComponent` encodes.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'!')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');
/// Characters of a message that are kept.
const MESSAGE: usize = 500;
/// Characters of a code that are kept.
const CODE: usize = 100;
/// Where a message usually stands, for a file that does not say.
const USUAL_MESSAGES: [&[&str]; 7] = [
    &["message"],
    &["error", "message"],
    &["error_description"],
    &["errors", "0", "message"],
    &["error"],
    &["detail"],
    &["title"],
];

/// The provider answered, and not with success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the provider answered {status}{}{}", self.code_words(), self.message_words())]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and several may hold of one answer"
)]
pub struct ProviderError {
    /// The HTTP status.
    pub status: u16,
    /// The provider's own code.
    pub code: Option<String>,
    /// The provider's words, cut short, without the connection's secrets should it echo them.
    pub message: Option<String>,
    /// What the provider's file tells people about this code.
    pub hint: Option<String>,
    /// The credentials are not good.
    pub unauthorized: bool,
    /// There is no such thing (any more).
    pub not_found: bool,
    /// Too many calls.
    pub rate_limited: bool,
    /// How long it asks to wait.
    pub retry_after: Option<RetryAfter>,
    /// Whether the call was carried out all the same, since a redirect made a GET of it, and that was refused.
    pub(crate) carried_out: bool,
}

impl ProviderError {
    /// Reads an answer that is not 2xx; `now` tells how far away a date in it is.
    pub(crate) fn read(target: &Target, answer: &Answer, now: Timestamp) -> Self {
        let (rules, retry_rules) = (&target.provider.errors, &target.provider.retry);
        let body: Value = answer.json().unwrap_or_default();
        let text = |path: &[String]| {
            json::at(&body, path)
                .filter(|_| !path.is_empty())
                .and_then(json::plain)
        };
        let usual = || {
            USUAL_MESSAGES
                .iter()
                .find_map(|path| json::at(&body, path).and_then(json::plain))
        };
        let code = text(&rules.code);
        let rate_limited = retry::rate_limited(retry_rules, answer.status, &answer.headers);
        let bad_code = code
            .as_ref()
            .is_some_and(|code| rules.unauthorized_codes.contains(code));
        let secrets = secrets(target);
        Self {
            status: answer.status,
            hint: code
                .as_ref()
                .and_then(|code| rules.hints.get(code))
                .or_else(|| rules.hints.get(&answer.status.to_string()))
                .cloned(),
            message: text(&rules.message)
                .or_else(usual)
                .map(|text| harmless(&text, &secrets, MESSAGE)),
            code: code.map(|text| harmless(&text, &secrets, CODE)),
            unauthorized: !rate_limited && (bad_code || rules.unauthorized.contains(&answer.status)),
            not_found: matches!(answer.status, 404 | 410),
            rate_limited,
            retry_after: retry::asked(retry_rules, answer.status, &answer.headers, &body, now),
            carried_out: answer.carried_out,
        }
    }

    /// Whether the provider denies access: 401, 403, or a code that its file lists as unauthorized. The credentials may still be
    /// valid and lack a permission.
    pub fn denies_access(&self) -> bool {
        !self.rate_limited && (self.unauthorized || matches!(self.status, 401 | 403))
    }

    fn code_words(&self) -> String {
        self.code
            .as_ref()
            .map(|code| format!(" (code {code})"))
            .unwrap_or_default()
    }

    fn message_words(&self) -> String {
        self.message
            .as_ref()
            .map(|message| format!(": {message}"))
            .unwrap_or_default()
    }
}

/// A provider's words without the connection's secrets, fit for a message.
pub(crate) fn without_secrets(target: &Target, text: &str) -> String {
    harmless(text, &secrets(target), MESSAGE)
}

impl Target {
    /// A text about a call, without the connection's secrets should a host name or the like hold one.
    pub fn without_secrets(&self, text: &str) -> String {
        blot(self, text)
    }
}

/// A provider's words without the connection's secrets, whole.
pub(crate) fn blot(target: &Target, text: &str) -> String {
    secrets(target).iter().fold(text.to_owned(), |text, secret| {
        text.replace(secret.as_str(), "[secret]")
    })
}

fn harmless(text: &str, secrets: &[String], limit: usize) -> String {
    let mut clean = text.to_owned();
    for secret in secrets {
        clean = clean.replace(secret.as_str(), "[secret]");
    }
    let on_one_line: String = clean
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    excerpt(&on_one_line, limit)
}

/// Every form in which a provider could echo the connection's secrets, longest first so that none leaves a rest of another.
///
/// What the provider's file does not call secret, such as an account's number, stays readable.
fn secrets(target: &Target) -> Vec<String> {
    /// Shorter ones would blot out ordinary words and are no secrets.
    const SHORTEST: usize = 4;
    /// The parts of a rendered header that are keys and not names of a scheme or a type.
    const SHORTEST_PART: usize = 20;
    let (provider, variables) = (&target.provider, &target.variables);
    // A user name without a password is the key itself.
    let alone = variables
        .credential("password")
        .is_none_or(|password| password.is_empty());
    let is_public = |name: &str| {
        let field = provider.credentials.get(name);
        name == "username" && !alone && field.is_some_and(|field| !field.secret)
    };
    let credentials = variables.credentials.iter();
    let mut plain: Vec<String> = credentials
        .filter(|(name, _)| !is_public(name))
        .map(|(_, secret)| secret.expose_secret().to_owned())
        .chain(
            variables
                .secret_config
                .values()
                .map(|secret| secret.expose_secret().to_owned()),
        )
        .collect();
    let of_integration = variables.integration_config.iter().filter(|(name, _)| {
        let field = provider.integration_config.get(*name);
        field.is_some_and(|field| field.secret)
    });
    plain.extend(of_integration.map(|(_, value)| value.clone()));
    for (_, template) in provider
        .headers
        .iter()
        .chain(&provider.query)
        .filter(|(_, template)| template.literal().is_none())
    {
        let public = |hole: &&str| match hole.split_once('.') {
            Some(("connectionConfig", field)) => !variables.secret_config.contains_key(field),
            Some(("credentials", field)) => is_public(field),
            Some((kind, _)) => kind == "metadata",
            None => is_public(hole),
        };
        if template.holes().iter().all(public) {
            continue;
        }
        let value = template
            .render(&|name| variables.lookup(name))
            .unwrap_or_default();
        plain.extend(
            value
                .split_whitespace()
                .filter(|part| part.len() >= SHORTEST_PART)
                .map(str::to_owned),
        );
    }
    let mut found: Vec<String> = plain.iter().flat_map(|secret| forms(secret)).collect();
    if let Some(pair) = basic_pair(target) {
        found.extend(forms(pair.trim_end_matches('=')));
    }
    found.retain(|secret| secret.len() >= SHORTEST);
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    found.dedup();
    found
}

/// A secret as it is, and as it stands in an address, a form, a text of JSON and in base64.
fn forms(secret: &str) -> Vec<String> {
    let lower = |text: &str| {
        // `%2F` may be written `%2f`.
        let mut lower = String::with_capacity(text.len());
        let mut digits = 0;
        for c in text.chars() {
            lower.push(if digits > 0 { c.to_ascii_lowercase() } else { c });
            digits = if c == '%' { 2_u8 } else { digits.saturating_sub(1) };
        }
        lower
    };
    let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let strict = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let component = utf8_percent_encode(secret, COMPONENT).to_string();
    let json = Value::from(secret).to_string();
    let json = json.trim_matches('"').to_owned();
    let slashes = json.replace('/', "\\/");
    let mut found = vec![
        secret.to_owned(),
        lower(&form),
        lower(&strict),
        lower(&component),
        form,
        strict,
        component,
        json,
        slashes,
        // What pads it may stay.
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
    ];
    found.dedup();
    found
}
