//! Errors of requests to the gateway, in words that help the user.

use std::fmt;

use reqwest::Response;
use serde::Deserialize;

/// Why a request to the gateway failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// There was no response.
    #[error(
        "there is no gateway at {url}: start `trunkline serve` there, or set its address with --url or TRUNKLINE_API_URL"
    )]
    Unreachable { url: String, source: reqwest::Error },
    /// The gateway refused the request.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The response does not have the format of this version.
    #[error(
        "the response is not that of a gateway of this version: use a `trunkline` of the gateway's version"
    )]
    Unexpected(#[source] serde_json::Error),
}

/// An error response of the API.
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    #[serde(skip)]
    status: u16,
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<FieldError>,
    /// With an internal error, the id under which the gateway's log has the cause.
    payload: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct FieldError {
    message: String,
    #[serde(default)]
    path: Vec<String>,
}

#[derive(Deserialize)]
struct Body {
    error: Refusal,
}

impl ClientError {
    /// Returns the HTTP status, if the gateway refused the request.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// Whether the same request may succeed later: there was no response, or the gateway was overloaded or failed.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused(refusal) => matches!(refusal.status, 408 | 429 | 500..),
            Self::Unexpected(_) => false,
        }
    }

    /// Returns the fields that the gateway refused, each with a message.
    pub(crate) fn fields(&self) -> Vec<(&str, &str)> {
        let Self::Refused(refusal) = self else {
            return Vec::new();
        };
        let errors = refusal.errors.iter();
        errors
            .filter_map(|error| Some((error.path.first()?.as_str(), error.message.as_str())))
            .collect()
    }

    /// Reads an error response. If it is not from the API but from a proxy, say, only its status is known.
    pub(super) async fn refused(response: Response) -> Self {
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        let refusal = match serde_json::from_slice::<Body>(&body) {
            Ok(body) => Refusal {
                status: status.as_u16(),
                ..body.error
            },
            Err(_) => Refusal {
                status: status.as_u16(),
                code: String::new(),
                message: format!("the gateway, or a proxy in front of it, responded with HTTP {status}"),
                errors: Vec::new(),
                payload: None,
            },
        };
        Self::Refused(Box::new(refusal))
    }
}

impl Refusal {
    /// Returns the API's error code.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// Whether it says that there is no integration called `name`.
    pub(crate) fn is_about_integration(&self, name: &str) -> bool {
        matches!(self.code.as_str(), "unknown_provider_config" | "unknown_provider")
            || (self.code == "not_found" && self.message.contains(&format!("no integration {name:?}")))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // If there are errors of fields, the message only points to them.
        if self.errors.is_empty() {
            f.write_str(if self.message.is_empty() {
                &self.code
            } else {
                &self.message
            })?;
        } else {
            f.write_str("the gateway refused the input:")?;
        }
        for error in &self.errors {
            write!(f, "\n  {}: {}", error.path.join("."), error.message)?;
        }
        match (self.status, &self.payload) {
            (401, _) => f.write_str("\n  TRUNKLINE_SECRET_KEY (`secret_key`) holds the key that was sent. On the machine of the gateway's database, `trunkline api-keys create dev --name NAME` creates a new one."),
            (500.., Some(payload)) => write!(f, " ({payload})"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_fields_are_shown_one_a_line() {
        let text = r#"{"error":{"code":"invalid_body","message":"the body is invalid: see `errors`",
            "errors":[{"code":"missing","message":"is required","path":["accountSid"]}]}}"#;
        let refusal = serde_json::from_str::<Body>(text).unwrap().error;
        assert_eq!(
            refusal.to_string(),
            "the gateway refused the input:\n  accountSid: is required"
        );
    }
}
