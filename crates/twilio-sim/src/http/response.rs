//! The results of handlers before the middleware adds headers: a response, or an error in Twilio's envelope.

use serde_json::{Value, json};

/// A response: a status and a JSON body (empty for 204).
#[derive(Debug)]
pub(crate) struct ApiResponse {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) content_type: &'static str,
    pub(crate) retry_after: Option<u64>,
    /// The name of the fault that caused it.
    pub(crate) fault: Option<&'static str>,
}

impl ApiResponse {
    pub(crate) fn json(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            body,
            content_type: "application/json;charset=utf-8",
            retry_after: None,
            fault: None,
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
}

impl ApiError {
    pub(crate) fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
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
        json!({
            "code": self.code,
            "message": self.message,
            "more_info": format!("https://www.twilio.com/docs/errors/{}", self.code),
            "status": self.status,
        })
    }
}

impl From<ApiError> for ApiResponse {
    fn from(error: ApiError) -> Self {
        Self {
            retry_after: error.retry_after,
            ..Self::value(error.status, &error.envelope())
        }
    }
}
