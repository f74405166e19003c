//! A provider's answer.

use std::fmt;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::CallError;

/// An answer, read to its end and decompressed.
#[derive(Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Its headers; those of a compressed body's length and encoding are gone.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// How many attempts it took.
    pub attempts: u32,
    /// Whether the call was carried out whatever the status, since a redirect made a GET of a write.
    pub(crate) carried_out: bool,
}

impl Answer {
    /// The body as JSON. [`CallError::NotJson`] tells what it is instead.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body).map_err(|error| CallError::NotJson {
            status: self.status,
            instead: match (self.body.trim_ascii_start(), error.classify()) {
                ([], _) => Instead::Nothing,
                ([b'<', ..], _) => Instead::Markup,
                (_, Category::Eof) => Instead::CutOff,
                (_, Category::Data) => Instead::OtherShape,
                (_, Category::Syntax | Category::Io) => Instead::SomethingElse,
            },
        })
    }

    /// The answer, unless HTML or XML stands where JSON was asked for; costs no look beyond the first byte.
    pub(crate) fn without_markup(self) -> Result<Self, CallError> {
        match self.body.trim_ascii_start() {
            [b'<', ..] => Err(CallError::NotJson {
                status: self.status,
                instead: Instead::Markup,
            }),
            _ => Ok(self),
        }
    }

    pub(crate) fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
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
