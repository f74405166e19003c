//! A provider's response, read to its end.

use std::fmt;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use crate::budget::BodyPermit;
use crate::{CallError, json};

/// A response, read to its end and decoded.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Its headers; those of a coded body's length and coding are gone.
    pub headers: HeaderMap,
    /// Its body, without a byte order mark.
    pub body: Bytes,
    /// How many attempts it took.
    pub attempts: u32,
    /// Whether the request was carried out whatever the status, since a redirect made a GET of a write.
    pub(crate) carried_out: bool,
    /// What the body holds of the memory budget.
    pub(crate) permit: BodyPermit,
}

impl Answer {
    /// The body as JSON; texts that JSON does not allow, such as lone surrogates, are repaired. [`CallError::NotJson`] tells what it
    /// is instead.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        if !json::is_bounded(&self.body) {
            return Err(self.instead(Instead::TooManyValues));
        }
        let repaired = |error| {
            let text = domain::repaired_json(&self.body).ok();
            text.and_then(|text| serde_json::from_str(&text).ok())
                .ok_or(error)
        };
        serde_json::from_slice(&self.body)
            .or_else(repaired)
            .map_err(|error| {
                self.instead(match (self.body.trim_ascii_start(), error.classify()) {
                    ([], _) => Instead::Nothing,
                    ([b'<', ..], _) => Instead::Markup,
                    (_, Category::Eof) => Instead::CutOff,
                    (_, Category::Data) => Instead::OtherShape,
                    (_, Category::Syntax | Category::Io) => Instead::SomethingElse,
                })
            })
    }

    /// The body as text, if it says that it is plain text in an encoding that we know.
    pub fn text(&self) -> Option<String> {
        let media_type = self.media_type();
        let (kind, parameters) = media_type.split_once(';').unwrap_or((&media_type, ""));
        let charset = parameters
            .split(';')
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim() == "charset")
            .map_or("utf-8", |(_, charset)| charset.trim().trim_matches('"'));
        if !matches!(kind.trim(), "text/plain" | "text/csv") {
            return None;
        }
        match charset {
            "utf-8" | "utf8" | "us-ascii" => String::from_utf8(self.body.to_vec()).ok(),
            "iso-8859-1" | "latin1" => Some(self.body.iter().copied().map(char::from).collect()),
            _ => None,
        }
    }

    /// Whether the body is another resource than the one that the request was sent to: a redirect pointed to it after the request
    /// had been carried out (RFC 9110, 15.4.4).
    pub fn is_of_another_resource(&self) -> bool {
        self.carried_out
    }

    /// Drops the body and returns its part of the memory budget, for what was read from it.
    pub fn into_permit(self) -> BodyPermit {
        self.permit
    }

    /// The answer, unless HTML or XML stands where JSON was asked for; costs no look beyond the first byte.
    pub(crate) fn without_markup(self) -> Result<Self, CallError> {
        match self.body.trim_ascii_start() {
            [b'<', ..] => Err(self.instead(Instead::Markup)),
            _ => Ok(self),
        }
    }

    /// The answer, unless it is an HTML page: something between here and the provider, such as a captive portal, answers in the
    /// provider's place.
    pub(crate) fn without_page(self) -> Result<Self, CallError> {
        let media_type = self.media_type();
        let declared = ["text/html", "application/xhtml"]
            .iter()
            .any(|html| media_type.starts_with(html));
        let begins = |word: &[u8]| {
            let start = self.body.trim_ascii_start();
            start
                .get(..word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        if declared || begins(b"<!doctype html") || begins(b"<html") {
            return Err(self.instead(Instead::Markup));
        }
        Ok(self)
    }

    /// The answer to an action, if it is understood: JSON, or plain text or nothing at all where the provider's file expects no
    /// particular output.
    pub(crate) fn understood(self, output_expected: bool) -> Result<Self, CallError> {
        if self.body.trim_ascii().is_empty() {
            return if output_expected {
                Err(self.instead(Instead::Nothing))
            } else {
                Ok(self)
            };
        }
        match self.json::<IgnoredAny>() {
            Ok(_) => Ok(self),
            Err(CallError::NotJson { instead, .. })
                if instead != Instead::Markup
                    && !output_expected
                    && !self.declares_json()
                    && self.text().is_some() =>
            {
                Ok(self)
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn declares_json(&self) -> bool {
        self.media_type().contains("json")
    }

    /// The `Content-Type` in lower case.
    fn media_type(&self) -> String {
        let value = self.headers.get(header::CONTENT_TYPE);
        let text = value.and_then(|value| value.to_str().ok());
        text.unwrap_or_default().trim().to_ascii_lowercase()
    }

    fn instead(&self, instead: Instead) -> CallError {
        CallError::NotJson {
            status: self.status,
            instead,
        }
    }
}

/// What a body is that is not the JSON asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    /// Empty.
    Nothing,
    /// HTML or XML, mostly from something that stands before the provider.
    Markup,
    /// The beginning of JSON.
    CutOff,
    /// JSON, and not as it should be.
    OtherShape,
    /// More values than are kept in memory at once.
    TooManyValues,
    /// Anything else.
    SomethingElse,
}

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Markup => "HTML or XML",
            Self::CutOff => "JSON that is cut off",
            Self::OtherShape => "JSON of another shape",
            Self::TooManyValues => "JSON of more than 500000 values",
            Self::SomethingElse => "something else",
        })
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
