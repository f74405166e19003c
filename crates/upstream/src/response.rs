//! A provider's response, read to its end.

use std::fmt;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use crate::{BodyMemory, RequestError, UnexpectedBody, json};

/// A provider's response, read to its end and decoded.
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Its headers, without `Content-Length` and `Content-Encoding` if the body was decoded.
    pub headers: HeaderMap,
    /// Its body, without a byte order mark.
    pub body: Bytes,
    /// Whether a redirect turned a write into a GET (RFC 9110, 15.4.4). Then the write was carried out whatever the status, and the body is
    /// not the resource that was written.
    pub carried_out: bool,
    /// The body's part of the memory budget, for as long as the records that are read from it are in memory.
    pub memory: BodyMemory,
}

impl Response {
    /// Reads the body as JSON; texts that JSON does not allow, such as lone surrogates, are repaired. [`RequestError::NotJson`] says what
    /// the body is instead.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, RequestError> {
        if !json::is_bounded(&self.body) {
            return Err(self.not_json(UnexpectedBody::TooManyValues));
        }
        let repaired = |error| {
            let text = domain::repaired_json(&self.body).ok();
            text.and_then(|text| serde_json::from_str(&text).ok())
                .ok_or(error)
        };
        serde_json::from_slice(&self.body)
            .or_else(repaired)
            .map_err(|error| {
                self.not_json(match (self.body.trim_ascii_start(), error.classify()) {
                    ([], _) => UnexpectedBody::Nothing,
                    ([b'<', ..], _) => UnexpectedBody::Markup,
                    (_, Category::Eof) => UnexpectedBody::CutOff,
                    (_, Category::Data) => UnexpectedBody::OtherShape,
                    (_, Category::Syntax | Category::Io) => UnexpectedBody::SomethingElse,
                })
            })
    }

    /// Returns the body as text, if it is declared as plain text or CSV in a known encoding.
    pub fn plain_text(&self) -> Option<String> {
        let content_type = self.content_type();
        let (kind, parameters) = content_type.split_once(';').unwrap_or((&content_type, ""));
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

    /// Returns the response, unless it is HTML or XML where JSON is expected. Only the first byte is checked.
    pub(crate) fn refuse_markup(self) -> Result<Self, RequestError> {
        match self.body.trim_ascii_start() {
            [b'<', ..] => Err(self.not_json(UnexpectedBody::Markup)),
            _ => Ok(self),
        }
    }

    /// Returns the response, unless it is an HTML page: then something in front of the provider, such as a captive portal, has responded.
    pub(crate) fn refuse_html_page(self) -> Result<Self, RequestError> {
        let content_type = self.content_type();
        let declared = ["text/html", "application/xhtml"]
            .iter()
            .any(|html| content_type.starts_with(html));
        let begins = |word: &[u8]| {
            let start = self.body.trim_ascii_start();
            start
                .get(..word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        if declared || begins(b"<!doctype html") || begins(b"<html") {
            return Err(self.not_json(UnexpectedBody::Markup));
        }
        Ok(self)
    }

    /// Returns the response to an action, unless its body cannot be read: JSON can, and also plain text and an empty body if the provider's
    /// file expects no output.
    pub(crate) fn refuse_unreadable(self, output_expected: bool) -> Result<Self, RequestError> {
        if !output_expected && self.body.trim_ascii().is_empty() {
            return Ok(self);
        }
        match self.json::<IgnoredAny>() {
            Ok(_) => Ok(self),
            Err(RequestError::NotJson { found, .. })
                if found != UnexpectedBody::Markup
                    && !output_expected
                    && !self.content_type().contains("json")
                    && self.plain_text().is_some() =>
            {
                Ok(self)
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the `Content-Type` in lower case.
    fn content_type(&self) -> String {
        let value = self.headers.get(header::CONTENT_TYPE);
        let text = value.and_then(|value| value.to_str().ok());
        text.unwrap_or_default().trim().to_ascii_lowercase()
    }

    fn not_json(&self, found: UnexpectedBody) -> RequestError {
        RequestError::NotJson {
            status: self.status,
            found,
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
