//! The value in which a request holds its signature.

use registry::webhooks::{Scheme, ValueForm};

use crate::message::Message;
use crate::refused::Refused;

/// The most bytes of the value, and the most items of a list.
const LONGEST: usize = 8_192;
const MOST: usize = 64;
/// The most signatures that are compared.
const MOST_SIGNATURES: usize = 16;

/// The signatures of a request, and what else is in their value.
pub(crate) struct Signatures {
    /// The signatures, without the prefix; never empty.
    pub(crate) list: Vec<String>,
    /// The other values by key or position.
    others: Vec<(String, String)>,
}

impl Signatures {
    /// Reads the signatures of a scheme from a request.
    pub(crate) fn read(scheme: &Scheme, message: &Message<'_>) -> Result<Self, Refused> {
        let mut sources = scheme.source.iter();
        let value = sources.find_map(|name| message.lookup(name, None).filter(|value| !value.is_empty()));
        let value = value.ok_or(Refused::NoSignature)?;
        if value.len() > LONGEST {
            return Err(Refused::TooLarge("signature"));
        }
        let mut others = Vec::new();
        let list: Vec<&str> = match &scheme.form {
            ValueForm::Plain => vec![value.as_str()],
            ValueForm::List { separator } => items(&value, separator)?,
            ValueForm::Pairs {
                separator,
                assign,
                key,
            } => {
                let pairs = items(&value, separator)?;
                let pairs = pairs
                    .into_iter()
                    .filter_map(|item| item.split_once(assign.as_str()));
                let pairs: Vec<_> = pairs.map(|(name, value)| (name.trim(), value.trim())).collect();
                let (own, rest): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(name, _)| name == key);
                for (name, value) in rest {
                    if others
                        .iter()
                        .any(|(known, other)| known == name && other != value)
                    {
                        return Err(Refused::Malformed("signature"));
                    }
                    others.push((name.to_owned(), value.to_owned()));
                }
                own.into_iter().map(|(_, value)| value).collect()
            }
            ValueForm::Position { separator, index } => {
                let values = items(&value, separator)?;
                let named = values
                    .iter()
                    .enumerate()
                    .filter(|(position, _)| position != index);
                others.extend(named.map(|(position, value)| (position.to_string(), (*value).to_owned())));
                values.get(*index).copied().into_iter().collect()
            }
        };
        let prefix = scheme.prefix.as_deref().unwrap_or_default();
        let list = list
            .into_iter()
            .filter_map(|signature| signature.strip_prefix(prefix));
        let list: Vec<String> = list
            .filter(|signature| !signature.is_empty())
            .map(str::to_owned)
            .collect();
        match list.len() {
            0 => Err(Refused::NoSignature),
            1..=MOST_SIGNATURES => Ok(Self { list, others }),
            _ => Err(Refused::TooLarge("signature")),
        }
    }

    /// Returns a part of the request by its placeholder, also one of the signature's value.
    pub(crate) fn lookup(&self, name: &str, message: &Message<'_>) -> Option<String> {
        match name.strip_prefix("signature.") {
            Some(name) => {
                let mut others = self.others.iter();
                others
                    .find(|(known, _)| known == name)
                    .map(|(_, value)| value.clone())
            }
            None => message.lookup(name, None),
        }
    }

    /// Returns the first of several placeholders that the request has.
    pub(crate) fn first(&self, names: &[String], message: &Message<'_>) -> Option<String> {
        names.iter().find_map(|name| self.lookup(name, message))
    }
}

fn items<'a>(value: &'a str, separator: &str) -> Result<Vec<&'a str>, Refused> {
    let items: Vec<&str> = value
        .split(separator)
        .take(MOST.saturating_add(1))
        .map(str::trim)
        .collect();
    if items.len() > MOST {
        return Err(Refused::TooLarge("signature"));
    }
    Ok(items)
}

/// Returns the pairs of a header of the form `key=value,key=value`.
pub(crate) fn pairs(value: &str) -> Result<Vec<(&str, &str)>, Refused> {
    let items = items(value, ",")?;
    let pairs = items.into_iter().filter_map(|item| item.split_once('='));
    Ok(pairs.map(|(name, value)| (name.trim(), value.trim())).collect())
}
