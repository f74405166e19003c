//! The text that a provider signs.

use registry::webhooks::{Scheme, SignedPart};
use url::form_urlencoded;

use crate::key::{equal, sha256_hex};
use crate::message::{MOST_PARAMETERS, Message};
use crate::refused::Refused;
use crate::value::Signatures;

/// What the signed text is made of, besides the URL.
pub(crate) struct Signed<'a> {
    scheme: &'a Scheme,
    message: &'a Message<'a>,
    signatures: &'a Signatures,
    /// The time as the request has it.
    timestamp: Option<String>,
    /// The parameters of the form, if the signature covers the body by them; sorted.
    form: Vec<(&'a str, &'a str)>,
}

impl<'a> Signed<'a> {
    /// Checks that the signature covers the body.
    pub(crate) fn new(
        scheme: &'a Scheme,
        message: &'a Message<'a>,
        signatures: &'a Signatures,
    ) -> Result<Self, Refused> {
        let timestamp = match &scheme.timestamp {
            Some(rule) => {
                let value = signatures.first(&rule.source, message);
                Some(value.ok_or(Refused::Malformed("timestamp"))?)
            }
            None => None,
        };
        let by_itself = scheme.signed.contains(&SignedPart::Body) || scheme.unsigned_body;
        let form = if by_itself {
            Vec::new()
        } else {
            covered_form(scheme, message)?
        };
        Ok(Self {
            scheme,
            message,
            signatures,
            timestamp,
            form,
        })
    }

    /// Returns the time as the request has it.
    pub(crate) fn timestamp(&self) -> Option<&str> {
        self.timestamp.as_deref()
    }

    /// Returns the signed text with this spelling of the URL.
    pub(crate) fn text(&self, url: &str) -> Result<Vec<u8>, Refused> {
        let body = self.message.request().body;
        let mut text = Vec::with_capacity(body.len().saturating_add(url.len()));
        for part in &self.scheme.signed {
            match part {
                SignedPart::Text(fixed) => text.extend_from_slice(fixed.as_bytes()),
                SignedPart::Body => text.extend_from_slice(body),
                SignedPart::Timestamp => {
                    text.extend_from_slice(self.timestamp.as_deref().unwrap_or_default().as_bytes());
                }
                SignedPart::Url => text.extend_from_slice(url.as_bytes()),
                SignedPart::UrlWithoutQuery => text.extend_from_slice(without_query(url).as_bytes()),
                SignedPart::UrlWithSortedQuery => {
                    text.extend_from_slice(sorted_query(url, !self.form.is_empty()).as_bytes());
                }
                SignedPart::Form => {
                    let mut last = None;
                    for pair in &self.form {
                        if last.replace(pair) != Some(pair) {
                            push_pair(&mut text, *pair);
                        }
                    }
                }
                SignedPart::FormEveryValue => self.form.iter().for_each(|pair| push_pair(&mut text, *pair)),
                SignedPart::Method => text.extend_from_slice(self.message.request().method.as_bytes()),
                SignedPart::Value(names) => {
                    let value = self.signatures.first(names, self.message);
                    let value = value.ok_or(Refused::Malformed("signed part of the request"))?;
                    text.extend_from_slice(value.as_bytes());
                }
            }
        }
        Ok(text)
    }

    /// Whether the signed text depends on the spelling of the URL.
    pub(crate) fn has_url(&self) -> bool {
        self.scheme.signed.iter().any(|part| {
            matches!(
                part,
                SignedPart::Url | SignedPart::UrlWithoutQuery | SignedPart::UrlWithSortedQuery
            )
        })
    }
}

/// Returns the parameters of a form that are signed with the URL, sorted; or checks the hash of the body in the URL.
fn covered_form<'a>(scheme: &Scheme, message: &'a Message<'_>) -> Result<Vec<(&'a str, &'a str)>, Refused> {
    let request = message.request();
    if let Some(name) = &scheme.body_sha256
        && has_parameter(request.url, name)
    {
        let hash = message.query(name).ok_or(Refused::BodyNotSigned)?;
        return if equal(hash.as_bytes(), sha256_hex(request.body).as_bytes()) {
            Ok(Vec::new())
        } else {
            Err(Refused::BodyNotSigned)
        };
    }
    if request.body.is_empty() {
        return Ok(Vec::new());
    }
    let signs_form =
        scheme.signed.contains(&SignedPart::Form) || scheme.signed.contains(&SignedPart::FormEveryValue);
    let form = message
        .form()
        .filter(|_| signs_form && request.method == "POST")
        .ok_or(Refused::BodyNotSigned)?;
    if form.len() > MOST_PARAMETERS {
        return Err(Refused::TooLarge("form"));
    }
    let mut pairs: Vec<(&str, &str)> = form
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    pairs.sort_unstable();
    Ok(pairs)
}

fn has_parameter(url: &str, name: &str) -> bool {
    url.split_once('?')
        .is_some_and(|(_, query)| form_urlencoded::parse(query.as_bytes()).any(|(known, _)| known == name))
}

fn push_pair(text: &mut Vec<u8>, (name, value): (&str, &str)) {
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(value.as_bytes());
}

fn without_query(url: &str) -> &str {
    url.split_once('?').map_or(url, |(base, _)| base)
}

/// Returns the URL with its query sorted by name and value and decoded; `?` also if only a form has parameters, and `.` between both.
fn sorted_query(url: &str, has_form: bool) -> String {
    let query = url.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let mut pairs: Vec<_> = form_urlencoded::parse(query.as_bytes())
        .take(MOST_PARAMETERS)
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let query = pairs.join("&");
    let mut text = without_query(url).to_owned();
    if has_form || !query.is_empty() {
        text.push('?');
        text.push_str(&query);
    }
    if has_form && !query.is_empty() {
        text.push('.');
    }
    text
}
