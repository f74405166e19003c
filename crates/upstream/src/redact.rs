//! Replaces a connection's secrets in texts that are shown or logged.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use serde_json::Value;
use url::form_urlencoded;

use crate::{Target, excerpt};

/// What JavaScript's `encodeURIComponent` encodes.
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

/// Characters of a provider's text that are shown or logged.
pub(crate) const MAX_LINE: usize = 500;

impl Target {
    /// Returns the text with the connection's secrets replaced by `[secret]`, however they are encoded in it.
    pub fn without_secrets(&self, text: &str) -> String {
        secrets(self).iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.as_str(), "[secret]")
        })
    }

    /// Like [`Self::without_secrets`], on one line and cut to `limit` characters.
    pub(crate) fn redacted_line(&self, text: &str, limit: usize) -> String {
        let line = self.without_secrets(text).replace(char::is_control, " ");
        excerpt(&line, limit)
    }
}

/// Returns every form in which a provider could echo the connection's secrets, longest first so that none leaves a part of another.
///
/// Values that the provider's file does not call secret, such as an account's number, stay readable.
fn secrets(target: &Target) -> Vec<String> {
    /// Shorter values are no secrets, and would match ordinary words.
    const SHORTEST: usize = 4;
    /// Parts of a rendered header from this length on are keys; shorter ones are names of a scheme or a type.
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
        .map(|(_, secret)| secret)
        .chain(variables.secret_config.values())
        .chain(variables.subscription.secret.as_ref())
        .map(|secret| secret.expose_secret().to_owned())
        .collect();
    let of_integration = variables.integration_config.iter().filter(|(name, _)| {
        let field = provider.integration_config.get(*name);
        field.is_some_and(|field| field.secret)
    });
    plain.extend(of_integration.map(|(_, value)| value.clone()));
    // Only the last segment of the address is secret.
    let address = variables.webhook_url.as_ref();
    let end = address.and_then(|url| url.expose_secret().rsplit('/').next());
    plain.extend(end.map(str::to_owned));
    for (_, template) in provider
        .headers
        .iter()
        .chain(&provider.query)
        .filter(|(_, template)| template.literal().is_none())
    {
        let public = |placeholder: &&str| match placeholder.split_once('.') {
            Some(("connectionConfig", field)) => !variables.secret_config.contains_key(field),
            Some(("credentials", field)) => is_public(field),
            Some((kind, _)) => kind == "metadata",
            None => is_public(placeholder),
        };
        if template.placeholders().iter().all(public) {
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
    if let Some(pair) = target.basic_auth() {
        found.extend(forms(pair.trim_end_matches('=')));
    }
    found.retain(|secret| secret.len() >= SHORTEST);
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    found.dedup();
    found
}

/// Returns a secret as it is, and as written in an address, a form, a JSON text and in base64.
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
        // Padding after it may stay.
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
    ];
    found.dedup();
    found
}
