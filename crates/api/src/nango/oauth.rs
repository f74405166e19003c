//! OAuth flows, which are refused with a message that says how to connect instead.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use gateway::{Gateway, GatewayError, connections};

use crate::error::ApiError;

/// Registers the paths at which Nango's front end starts an OAuth flow and a provider would end one. The document does not show them.
pub(crate) fn refusals(config: &mut ServiceConfig) {
    for path in [
        "/oauth/connect/{integration}",
        "/oauth2/connect/{integration}",
        "/auth/oauth/{integration}",
        "/oauth2/auth/{integration}",
    ] {
        config.route(path, web::route().to(of_integration));
    }
    for path in [
        "/oauth/callback",
        "/oauth/connect",
        "/oauth2/connect",
        "/oauth/{tail:.*}",
        "/auth/oauth{tail:.*}",
    ] {
        config.route(path, web::route().to(of_none));
    }
}

async fn of_integration(
    gateway: web::Data<Gateway>,
    integration: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    Err(GatewayError::OauthNotSupported(connections::how_to_connect(&gateway, &integration)?).into())
}

async fn of_none() -> Result<HttpResponse, ApiError> {
    let message = "Trunkline connects with API keys, not by OAuth: no flow can be started. \
                   Send POST /{integration}/connect with the provider's fields; GET /openapi.json lists them.";
    Err(GatewayError::OauthNotSupported(message.to_owned()).into())
}
