//! Verifies that a request is one of the provider.

use std::time::Duration;

use base64::Engine;
use domain::Timestamp;
use registry::Webhooks;
use registry::webhooks::{Algorithm, Scheme, TimestampFormat, TimestampRule};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::candidates::{Candidate, Candidates};
use crate::key::{Key, LENIENT, equal};
use crate::message::Message;
use crate::refused::Refused;
use crate::signed::Signed;
use crate::url_variants::variants;
use crate::value::{Signatures, pairs};

/// The most bytes of a URL.
const LONGEST_URL: usize = 8_192;

/// What is known of a genuine request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The position of the scheme in the provider file; `None` if only the connection's own address proves the sender.
    pub scheme: Option<usize>,
    /// The time that the request names, if the file has a tolerance for it.
    pub timestamp: Option<Timestamp>,
    /// A value that no second request may have: refuse a request whose nonce is known.
    pub nonce: Option<String>,
}

impl Verified {
    const BY_ADDRESS: Self = Self {
        scheme: None,
        timestamp: None,
        nonce: None,
    };
}

/// Verifies that a request comes from the provider, and is what the provider sent.
///
/// `own_address` says whether it came to the random address of a connection, which proves the sender if the provider signs nothing. The
/// candidates are the secrets of that connection, or of the one that [`Webhooks::connection`] finds. The body should be limited by the
/// caller: it is hashed once for each candidate.
pub fn verify(
    webhooks: &Webhooks,
    message: &Message<'_>,
    candidates: &Candidates,
    own_address: bool,
    now: Timestamp,
) -> Result<Verified, Refused> {
    let request = message.request();
    if !webhooks
        .methods
        .iter()
        .any(|method| method.as_str() == request.method)
    {
        return Err(Refused::Method);
    }
    if request.url.len() > LONGEST_URL {
        return Err(Refused::TooLarge("URL"));
    }
    // A request of this method has no body, so no signature means to cover one.
    if request.method == "GET" && !request.body.is_empty() {
        return Err(Refused::BodyNotSigned);
    }
    if webhooks.needs_own_address() {
        if !own_address {
            return Err(Refused::NeedsOwnAddress);
        }
        if candidates.is_empty() {
            return Ok(Verified::BY_ADDRESS);
        }
    }
    let mut refused = Refused::NoSignature;
    for (index, scheme) in selected(webhooks, message, candidates)? {
        match by_scheme(index, scheme, message, candidates, now) {
            Ok(verified) => return Ok(verified),
            Err(error) if error.weight() >= refused.weight() => refused = error,
            Err(_) => {}
        }
    }
    Err(refused)
}

/// Returns the schemes that a request may have, by the headers that select one.
fn selected<'w>(
    webhooks: &'w Webhooks,
    message: &Message<'_>,
    candidates: &Candidates,
) -> Result<Vec<(usize, &'w Scheme)>, Refused> {
    let headers = message.request().headers;
    let schemes = webhooks.signature.iter().enumerate();
    let named = |scheme: &Scheme| scheme.when.as_ref().is_some_and(|when| headers.has(&when.header));
    let any_named = webhooks.signature.iter().any(named);
    let mut fitting = Vec::new();
    for (index, scheme) in schemes {
        let fits = match &scheme.when {
            None => !any_named,
            Some(when) if headers.has(&when.header) => {
                let value = headers.get(&when.header).ok_or(Refused::UnknownScheme)?;
                let pairs = pairs(value).map_err(|_| Refused::UnknownScheme)?;
                when.has.iter().all(|(key, wanted)| {
                    let mut values = pairs.iter().filter(|(name, _)| name == key).peekable();
                    values.peek().is_some() && values.all(|(_, value)| value == wanted)
                })
            }
            Some(_) => false,
        };
        if fits {
            fitting.push((index, scheme));
        }
    }
    if fitting.is_empty() {
        return Err(if any_named {
            Refused::UnknownScheme
        } else {
            Refused::NoSignature
        });
    }
    // A header, which anybody can leave out, must not choose a weaker scheme than the connection is configured for.
    let strongest =
        webhooks.signature.iter().enumerate().find(|(index, scheme)| {
            scheme.exclusive && candidates.of(*index).any(|candidate| candidate.in_use)
        });
    if let Some((strongest, _)) = strongest {
        fitting.retain(|(index, _)| *index <= strongest);
        if fitting.is_empty() {
            return Err(Refused::Downgrade);
        }
    }
    Ok(fitting)
}

fn by_scheme(
    index: usize,
    scheme: &Scheme,
    message: &Message<'_>,
    candidates: &Candidates,
    now: Timestamp,
) -> Result<Verified, Refused> {
    let signatures = Signatures::read(scheme, message)?;
    let named = named_key(scheme, message);
    let names_keys = scheme.when.as_ref().is_some_and(|when| when.key_id.is_some());
    let fits = |candidate: &&Candidate| match &candidate.key_id {
        Some(id) if names_keys => named == Some(id),
        _ => true,
    };
    let candidates = candidates.of(index).filter(fits);
    if candidates.clone().next().is_none() {
        return Err(Refused::NoSecret);
    }
    match scheme.algorithm {
        Algorithm::Token | Algorithm::Basic => {
            let mut secrets = candidates.map(|candidate| candidate.secret.expose_secret());
            let matches = secrets.any(|secret| {
                signatures.list.iter().any(|value| match scheme.algorithm {
                    Algorithm::Basic => is_basic(value, secret),
                    _ => equal(value.as_bytes(), secret.as_bytes()),
                })
            });
            if !matches {
                return Err(Refused::WrongSignature);
            }
            Ok(Verified {
                scheme: Some(index),
                ..Verified::BY_ADDRESS
            })
        }
        _ => {
            let signed = Signed::new(scheme, message, &signatures)?;
            signature(scheme, message, &signatures, &signed, candidates)?;
            let timestamp = scheme.timestamp.as_ref().zip(signed.timestamp());
            let timestamp = timestamp.map(|(rule, text)| time(rule, text, now)).transpose()?;
            let nonce = match &scheme.nonce {
                Some(nonce) => Some(message.text(nonce).ok_or(Refused::Malformed("nonce"))?),
                None => None,
            };
            Ok(Verified {
                scheme: Some(index),
                timestamp,
                nonce,
            })
        }
    }
}

/// Returns the secret's name in the header that selects the scheme.
fn named_key<'a>(scheme: &Scheme, message: &'a Message<'_>) -> Option<&'a str> {
    let when = scheme.when.as_ref()?;
    let pairs = pairs(message.request().headers.get(&when.header)?).ok()?;
    let key = when.key_id.as_deref()?;
    pairs
        .into_iter()
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value)
}

/// Checks that one of the signatures was made with one of the candidates.
fn signature<'c>(
    scheme: &Scheme,
    message: &Message<'_>,
    signatures: &Signatures,
    signed: &Signed<'_>,
    candidates: impl Iterator<Item = &'c Candidate>,
) -> Result<(), Refused> {
    let make = |candidate: &Candidate| {
        Key::new(
            scheme.algorithm,
            scheme.secret_format,
            candidate.secret.expose_secret(),
        )
    };
    let keys: Vec<Key> = candidates.filter_map(make).collect();
    if keys.is_empty() {
        return Err(Refused::BadSecret);
    }
    let list: Vec<&str> = signatures.list.iter().map(String::as_str).collect();
    let url = message.request().url;
    let urls = if signed.has_url() {
        variants(url, &scheme.url_variants)
    } else {
        vec![url.to_owned()]
    };
    for url in urls {
        let text = signed.text(&url)?;
        if keys.iter().any(|key| key.verifies(&text, scheme.encoding, &list)) {
            return Ok(());
        }
    }
    Err(Refused::WrongSignature)
}

/// Whether a header `Authorization` holds these credentials.
fn is_basic(value: &str, secret: &str) -> bool {
    let encoded = value
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
    let decoded = encoded.and_then(|(_, encoded)| LENIENT.decode(encoded.trim()).ok());
    decoded.is_some_and(|decoded| equal(&Zeroizing::new(decoded), secret.as_bytes()))
}

/// Returns the time of a request, if it is close enough to now.
fn time(rule: &TimestampRule, text: &str, now: Timestamp) -> Result<Timestamp, Refused> {
    let unit = match rule.format {
        TimestampFormat::UnixSeconds => 1_000_000,
        TimestampFormat::UnixMillis => 1_000,
        TimestampFormat::Iso8601 => 0,
    };
    let time = if unit == 0 {
        text.parse().ok()
    } else {
        let number = text.parse::<i64>().ok();
        number
            .and_then(|number| number.checked_mul(unit))
            .map(Timestamp::from_micros)
    };
    let time: Timestamp = time.ok_or(Refused::Malformed("timestamp"))?;
    let distance: Duration = now.since(time).max(time.since(now));
    if distance > rule.tolerance {
        return Err(Refused::Expired);
    }
    Ok(time)
}
