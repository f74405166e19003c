//! The inputs of requests that a provider's file declares: actions and subscriptions.

use registry::InputError;
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

use crate::error::{FieldError, GatewayError};

/// Returns the error of a body with wrong inputs, which are in its field `within`.
pub(crate) fn invalid(errors: Vec<InputError>, within: Option<&str>) -> GatewayError {
    let field = |error: InputError| {
        let within = within.into_iter().map(str::to_owned);
        FieldError::new(error.code, within.chain([error.name]), error.message)
    };
    GatewayError::InvalidBody(errors.into_iter().map(field).collect())
}

/// Returns a hash that is equal for two requests with the same inputs.
pub(crate) fn hash(inputs: &Map<String, Json>) -> String {
    let mut sorted = Json::Object(inputs.clone());
    sorted.sort_all_objects();
    hex::encode(Sha256::digest(sorted.to_string()))
}
