//! An answer that is no success, as people can use it.

use std::fmt;

use reqwest::Response;
use serde::Deserialize;

/// Why a request to the gateway came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// No answer at all.
    #[error(
        "no gateway answers at {url}: is `trunkline serve` running there? --url and TRUNKLINE_API_URL say where to look"
    )]
    Unreachable { url: String, source: reqwest::Error },
    /// The gateway said no.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The answer is not that of a gateway of this version.
    #[error("the answer is not what a gateway of this version gives")]
    Answer(#[source] serde_json::Error),
    /// The configured address cannot have a path.
    #[error("the address of the gateway is not one of http or https")]
    Address,
}

/// The API's error.
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    #[serde(skip)]
    status: u16,
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<FieldError>,
    /// With an error of the gateway's own, the id under which its log tells more.
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
    /// The status of a refusal.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// The fields that the gateway did not take, each with what is wrong.
    pub(crate) fn fields(&self) -> Vec<(&str, &str)> {
        let Self::Refused(refusal) = self else {
            return Vec::new();
        };
        let errors = refusal.errors.iter();
        errors
            .filter_map(|error| Some((error.path.first()?.as_str(), error.message.as_str())))
            .collect()
    }

    /// Reads the error in an answer; one that is not the API's, such as a proxy's, is told by its status.
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
                message: format!("the gateway, or something before it, answered HTTP {status}"),
                errors: Vec::new(),
                payload: None,
            },
        };
        Self::Refused(Box::new(refusal))
    }
}

impl Refusal {
    /// The API's code.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// Whether it says that there is no integration of that name.
    pub(crate) fn is_about_integration(&self, name: &str) -> bool {
        matches!(self.code.as_str(), "unknown_provider_config" | "unknown_provider")
            || (self.code == "not_found" && self.message.contains(&format!("no integration {name:?}")))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Where fields are told, the message only points to them.
        if self.errors.is_empty() {
            f.write_str(if self.message.is_empty() {
                &self.code
            } else {
                &self.message
            })?;
        } else {
            f.write_str("the gateway cannot take this:")?;
        }
        for error in &self.errors {
            write!(f, "\n  {}: {}", error.path.join("."), error.message)?;
        }
        match (self.status, &self.payload) {
            (401, _) => f.write_str("\n  TRUNKLINE_SECRET_KEY (`secret_key`) holds the key that was sent. Beside the gateway's database, `trunkline api-keys create dev --name NAME` makes a new one."),
            (500.., Some(payload)) => write!(f, " ({payload})"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_told_one_a_line_and_not_as_json() {
        let text = r#"{"error":{"code":"invalid_body","message":"the body cannot be taken: see errors",
            "errors":[{"code":"missing","message":"is needed","path":["accountSid"]}]}}"#;
        let refusal = serde_json::from_str::<Body>(text).unwrap().error;
        assert_eq!(
            refusal.to_string(),
            "the gateway cannot take this:\n  accountSid: is needed"
        );
    }
}
