//! Headers, read into types.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpRequest};
use gateway::{Caller, FieldError, Names};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use crate::error::ApiError;
use crate::parameters::{self, RawParameters, Values};

/// The connection that a request names in its headers, as Nango's SDKs do where the path does not name it.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case")]
#[into_params(parameter_in = Header)]
pub(crate) struct NamedConnection {
    /// The integration's key.
    #[param(rename = "Provider-Config-Key", example = "acme")]
    provider_config_key: String,
    /// The connection.
    #[param(rename = "Connection-Id", example = "my-acme")]
    connection_id: String,
}

impl NamedConnection {
    pub(crate) fn names(&self, caller: &Caller) -> Names<'_> {
        Names::of(caller, &self.provider_config_key, &self.connection_id)
    }
}

impl FromRequest for NamedConnection {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request.headers()).map_err(ApiError::InvalidHeaders))
    }
}

/// Reads the headers that `T` declares, or returns everything that is wrong with them. An empty header counts as missing: Nango's SDK
/// sends empty ones for options that are not set.
pub(crate) fn read<T: DeserializeOwned + IntoParams>(headers: &HeaderMap) -> Result<T, Vec<FieldError>> {
    let mut raw = RawParameters::new();
    for name in headers.keys() {
        let value = headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()));
        let text = value.as_deref().unwrap_or_default().trim();
        if !text.is_empty() {
            let values = Values {
                plain: vec![text.to_owned()],
                ascii_only: true,
                ..Values::default()
            };
            raw.insert(name.as_str().to_owned(), values);
        }
    }
    parameters::read(raw)
}
