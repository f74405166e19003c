//! The status and the code of errors of inner crates.

use actix_web::http::StatusCode;
use gateway::{ActionFailureKind, GatewayError, StoreError};
use upstream::ErrorCode;

/// Returns the status and the code of an error of a use case.
pub(super) fn of_gateway(error: &GatewayError) -> (StatusCode, &'static str) {
    use StatusCode as S;
    match error {
        GatewayError::UnknownKey => (S::UNAUTHORIZED, "unknown_account"),
        GatewayError::MalformedSessionToken => (S::UNAUTHORIZED, "invalid_connect_session_token_format"),
        GatewayError::TooManyAttempts { .. } => (S::TOO_MANY_REQUESTS, "too_many_attempts"),
        GatewayError::UnknownSession => (S::UNAUTHORIZED, "unknown_connect_session_token"),
        GatewayError::Forbidden(_) => (S::FORBIDDEN, "forbidden"),
        GatewayError::IntegrationNotAllowed(_) => (S::BAD_REQUEST, "integration_not_allowed"),
        GatewayError::InvalidAuthMode { .. } => (S::BAD_REQUEST, "invalid_auth_mode"),
        GatewayError::ConnectionInvalid(_)
        | GatewayError::Uncallable(_)
        | GatewayError::IntegrationSecretsLost(_) => (S::BAD_REQUEST, "connection_validation_failed"),
        GatewayError::InvalidCredentials { .. } | GatewayError::CredentialsLost(_) => {
            (S::BAD_REQUEST, "invalid_credentials")
        }
        GatewayError::UnknownIntegration(_) => (S::NOT_FOUND, "unknown_provider_config"),
        GatewayError::UnknownConnection { .. } => (S::NOT_FOUND, "unknown_connection"),
        GatewayError::NotFound(_) | GatewayError::ActionPending { .. } => (S::NOT_FOUND, "not_found"),
        GatewayError::Action(failure) => match failure.kind {
            ActionFailureKind::Refused => (S::FAILED_DEPENDENCY, "script_http_error"),
            // The action has failed for good: reading its result again does not help.
            ActionFailureKind::Unavailable if failure.retry_after.is_none() => {
                (S::FAILED_DEPENDENCY, "provider_unavailable")
            }
            ActionFailureKind::Unavailable => (S::SERVICE_UNAVAILABLE, "provider_unavailable"),
            ActionFailureKind::RateLimited if failure.retry_after.is_none() => {
                (S::FAILED_DEPENDENCY, "rate_limited")
            }
            ActionFailureKind::RateLimited => (S::TOO_MANY_REQUESTS, "rate_limited"),
            ActionFailureKind::OutcomeUnknown => (S::FAILED_DEPENDENCY, "action_outcome_unknown"),
            ActionFailureKind::Impossible => (S::FAILED_DEPENDENCY, "action_failed"),
            ActionFailureKind::AnswerTooLarge => (S::FAILED_DEPENDENCY, "action_answer_too_large"),
        },
        GatewayError::KeyInUse => (S::CONFLICT, "idempotency_key_in_use"),
        GatewayError::KeyReused => (S::UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
        GatewayError::InvalidHeader { .. } => (S::BAD_REQUEST, "invalid_headers"),
        GatewayError::EnvironmentInUse(_)
        | GatewayError::ChangedMeanwhile
        | GatewayError::SubscriptionBusy
        | GatewayError::SubscriptionEnding => (S::CONFLICT, "conflict"),
        GatewayError::UnknownSync(_) => (S::BAD_REQUEST, "unknown_sync"),
        GatewayError::BaseVariant => (S::BAD_REQUEST, "invalid_variant"),
        GatewayError::VariantExists { .. } => (S::BAD_REQUEST, "sync_variant_already_exists"),
        GatewayError::Capped(_) => (S::BAD_REQUEST, "resource_capped"),
        GatewayError::InvalidBody(_) => (S::BAD_REQUEST, "invalid_body"),
        GatewayError::InvalidQuery(_) => (S::BAD_REQUEST, "invalid_query_params"),
        GatewayError::OauthNotSupported(_) => (S::BAD_REQUEST, "oauth_not_supported"),
        GatewayError::CredentialsRefused(_) => (S::BAD_REQUEST, "connection_test_failed"),
        GatewayError::ProviderUnavailable { .. } => (S::SERVICE_UNAVAILABLE, "provider_unavailable"),
        GatewayError::WebhookRefused => (S::UNAUTHORIZED, "webhook_refused"),
        GatewayError::WebhookTooLarge => (S::PAYLOAD_TOO_LARGE, "body_too_large"),
        GatewayError::WebhookUnready => (S::SERVICE_UNAVAILABLE, "unavailable"),
        GatewayError::WebhookBacklog => (S::SERVICE_UNAVAILABLE, "webhook_backlog"),
        GatewayError::Request(error) => {
            let code = error.verdict().error_code;
            (request_status(code), code.into())
        }
        GatewayError::EncryptionKey(_) | GatewayError::Vault(_) => (S::INTERNAL_SERVER_ERROR, "server_error"),
        GatewayError::Store(error) => store_kind(error),
    }
}

/// Returns the status of an error of a proxied request.
fn request_status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::AddressRefused => StatusCode::FORBIDDEN,
        ErrorCode::BaseUrlOverrideNotAllowed
        | ErrorCode::ConnectionIncomplete
        | ErrorCode::InvalidHeaders
        | ErrorCode::InvalidJson
        | ErrorCode::InvalidUriParams => StatusCode::BAD_REQUEST,
        ErrorCode::ProviderTimeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::ProviderUnreachable => StatusCode::BAD_GATEWAY,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn store_kind(error: &StoreError) -> (StatusCode, &'static str) {
    use StatusCode as S;
    match error {
        StoreError::NotFound { .. } => (S::NOT_FOUND, "not_found"),
        StoreError::Conflict { .. } | StoreError::Orphan => (S::CONFLICT, "conflict"),
        StoreError::Unavailable(_) | StoreError::Busy(_) => (S::SERVICE_UNAVAILABLE, "unavailable"),
        StoreError::LeaseLost | StoreError::Refused(_) | StoreError::Query(_) | StoreError::Migration(_) => {
            (S::INTERNAL_SERVER_ERROR, "server_error")
        }
    }
}
