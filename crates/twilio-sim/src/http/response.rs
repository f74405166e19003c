//! The results of handlers before the middleware adds headers: a response, or an error in Twilio's envelope.

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::webhooks::WebhookEntry;

/// A response: a status and a JSON body (empty for 204).
#[derive(Debug)]
pub(crate) struct ApiResponse {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) content_type: &'static str,
    pub(crate) retry_after: Option<u64>,
    /// The name of the fault that caused it.
    pub(crate) fault: Option<&'static str>,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// A webhook whose end completes the response.
    pub(crate) test: Option<PendingTest>,
}

/// A test of a webhook that has not ended.
#[derive(Debug)]
pub(crate) struct PendingTest {
    pub(crate) entry: oneshot::Receiver<WebhookEntry>,
    /// Makes the response's body from the entry.
    pub(crate) body: fn(&WebhookEntry) -> Value,
}

impl ApiResponse {
    pub(crate) fn json(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            body,
            content_type: "application/json;charset=utf-8",
            retry_after: None,
            fault: None,
            headers: Vec::new(),
            test: None,
        }
    }

    pub(crate) fn value(status: u16, value: &impl serde::Serialize) -> Self {
        Self::json(status, serde_json::to_vec(value).unwrap_or_default())
    }

    pub(crate) fn html(status: u16, body: &str, fault: &'static str) -> Self {
        Self {
            content_type: "text/html",
            fault: Some(fault),
            ..Self::json(status, body.as_bytes().to_vec())
        }
    }
}

/// An error: HTTP status, Twilio's code and message.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: u16,
    code: u32,
    message: String,
    retry_after: Option<u64>,
    /// Whether the body is a problem as in RFC 9457, as newer APIs send it.
    problem: bool,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
            problem: false,
        }
    }

    /// An error of an API that describes problems as in RFC 9457.
    pub(crate) fn problem(status: u16, code: u32, detail: impl Into<String>) -> Self {
        Self {
            problem: true,
            ..Self::new(status, code, detail)
        }
    }

    /// Adds a `Retry-After` in seconds.
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    /// 400 with a code.
    pub(crate) fn bad(code: u32, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// 401/20003.
    pub(crate) fn unauthenticated() -> Self {
        Self::new(401, 20003, "Authenticate")
    }

    /// 403/20008.
    pub(crate) fn test_credentials() -> Self {
        Self::new(
            403,
            20008,
            "Resource not accessible with Test Account Credentials",
        )
    }

    /// 404/20404 for a path. Messages of the product APIs omit the version.
    pub(crate) fn not_found(path: &str) -> Self {
        let path = ["/v1", "/v2"]
            .iter()
            .find_map(|version| path.strip_prefix(version))
            .unwrap_or(path);
        Self::new(404, 20404, format!("The requested resource {path} was not found"))
    }

    /// 429/20429.
    pub(crate) fn too_many() -> Self {
        Self::new(429, 20429, "Too Many Requests")
    }

    fn envelope(&self) -> Value {
        let url = format!("https://www.twilio.com/docs/errors/{}", self.code);
        if self.problem {
            let title = match self.status {
                404 => "Not Found",
                409 => "Conflict",
                422 => "Unprocessable Content",
                _ => "Bad Request",
            };
            return json!({
                "type": url,
                "title": title,
                "status": self.status,
                "detail": self.message,
                "code": self.code,
            });
        }
        json!({
            "code": self.code,
            "message": self.message,
            "more_info": url,
            "status": self.status,
        })
    }
}

impl From<ApiError> for ApiResponse {
    fn from(error: ApiError) -> Self {
        let response = Self {
            retry_after: error.retry_after,
            ..Self::value(error.status, &error.envelope())
        };
        if error.problem {
            Self {
                content_type: "application/problem+json",
                ..response
            }
        } else {
            response
        }
    }
}
