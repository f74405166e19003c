//! The connection that a request names in its headers, as Nango's SDKs do where the path does not name it.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use gateway::FieldError;
use utoipa::IntoParams;

use crate::error::ApiError;

/// A connection and its integration, both named in headers.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct NamedConnection {
    /// The integration's key.
    #[param(rename = "Provider-Config-Key", example = "acme")]
    pub(crate) integration: String,
    /// The connection.
    #[param(rename = "Connection-Id", example = "my-acme")]
    pub(crate) connection: String,
}

impl FromRequest for NamedConnection {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut missing = Vec::new();
        let mut header = |name: &'static str, what: &str| {
            let value = request.headers().get(name).and_then(|value| value.to_str().ok());
            if let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) {
                return value.to_owned();
            }
            let message = format!("is required as a header: {what}");
            missing.push(FieldError::at("missing", name, message));
            String::new()
        };
        let named = Self {
            integration: header("provider-config-key", "the integration's key"),
            connection: header("connection-id", "the name of the connection"),
        };
        ready(if missing.is_empty() {
            Ok(named)
        } else {
            Err(ApiError::InvalidHeaders(missing))
        })
    }
}
