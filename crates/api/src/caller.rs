//! Authentication and scopes: the router checks the key before a handler sees the request, and the handler's arguments name the scope.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::sync::Arc;

use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use domain::EnvironmentId;
use futures::future::LocalBoxFuture;
pub(crate) use gateway::scope;
use gateway::{Caller, ConnectSession, Gateway, GatewayError, api_keys, sessions};

use crate::error::ApiError;
use crate::path::PROXY;

/// The gateway, for a request whose API key has the scope `S`, and the caller that holds the key.
pub(crate) struct Authorized<S> {
    pub(crate) gateway: web::Data<Gateway>,
    pub(crate) caller: Caller,
    scope: PhantomData<S>,
}

impl<S: scope::Needed> FromRequest for Authorized<S> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let (extensions, gateway) = (request.extensions(), request.app_data::<web::Data<Gateway>>());
        ready(match (extensions.get::<Identity>(), gateway) {
            (Some(Identity::Key(caller)), Some(gateway)) => match S::SCOPE {
                Some(scope) if !caller.may(scope) => Err(GatewayError::Forbidden(scope).into()),
                _ => Ok(Self {
                    gateway: gateway.clone(),
                    caller: caller.clone(),
                    scope: PhantomData,
                }),
            },
            // The token of a session is not an API key.
            (Some(Identity::Session(_)), _) => Err(GatewayError::UnknownKey.into()),
            _ => Err(ApiError::Unauthenticated),
        })
    }
}

/// Whose credentials a request carries, as [`authenticate`] found out.
enum Identity {
    Key(Caller),
    Session(Arc<ConnectSession>),
}

/// The gateway, for a request with a key that has the scope `S` or with the token of a connect session: for what front ends may see as well.
pub(crate) struct AuthorizedOrSession<S> {
    pub(crate) gateway: web::Data<Gateway>,
    /// The environment whose data may be shown.
    pub(crate) environment: EnvironmentId,
    /// The session, which may see only the integrations that it allows; `None` for a key.
    pub(crate) session: Option<Arc<ConnectSession>>,
    scope: PhantomData<S>,
}

impl<S: scope::Needed> FromRequest for AuthorizedOrSession<S> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let session = match request.extensions().get::<Identity>() {
            Some(Identity::Session(session)) => Some(Arc::clone(session)),
            _ => None,
        };
        let gateway = request.app_data::<web::Data<Gateway>>();
        let made = |gateway, environment, session| Self {
            gateway,
            environment,
            session,
            scope: PhantomData,
        };
        ready(match (session, gateway) {
            (Some(session), Some(gateway)) => Ok(made(gateway.clone(), session.environment, Some(session))),
            _ => Authorized::<S>::from_request(request, payload)
                .into_inner()
                .map(|authorized| made(authorized.gateway, authorized.caller.environment, None)),
        })
    }
}

/// The holder of a connect session, by the token in the header `Authorization`. An API key is refused.
pub(crate) struct SessionHolder(pub(crate) Arc<ConnectSession>);

impl FromRequest for SessionHolder {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let token = key(request.headers()).map(str::to_owned);
        let gateway = request.app_data::<web::Data<Gateway>>().cloned();
        Box::pin(async move {
            let token = token?;
            let gateway = gateway.ok_or(ApiError::Unauthenticated)?;
            Ok(Self(sessions::authenticate(&gateway, &token).await?))
        })
    }
}

/// Checks the API key or the session's token of a request, before a byte of the body is read, and stores its owner for the handler.
pub(crate) async fn authenticate(request: &ServiceRequest) -> Result<(), ApiError> {
    let key = key(request.headers())?;
    let gateway = request
        .app_data::<web::Data<Gateway>>()
        .ok_or(ApiError::Unauthenticated)?;
    let identity = if sessions::is_token(key) {
        Identity::Session(sessions::authenticate(gateway, key).await?)
    } else {
        // A revoked key can read until its cache entry expires. What it creates or deletes would last, so the cache is not used for that.
        let cached =
            matches!(*request.method(), Method::GET | Method::HEAD) || request.path().starts_with(PROXY);
        Identity::Key(if cached {
            api_keys::authenticate(gateway, key).await?
        } else {
            api_keys::authenticate_anew(gateway, key).await?
        })
    };
    request.extensions_mut().insert(identity);
    Ok(())
}

/// Returns the key in the header: what follows `Bearer`, or a bare key, which Nango accepts too.
fn key(headers: &HeaderMap) -> Result<&str, ApiError> {
    let header = headers.get(AUTHORIZATION).ok_or(ApiError::MissingKey)?;
    let text = header.to_str().map_err(|_| ApiError::MalformedKey)?.trim();
    let (scheme, rest) = text.split_once(' ').unwrap_or(("", text));
    let key = rest.trim();
    let good =
        (scheme.is_empty() && !key.eq_ignore_ascii_case("bearer")) || scheme.eq_ignore_ascii_case("bearer");
    if good && !key.is_empty() && !key.contains(' ') {
        Ok(key)
    } else {
        Err(ApiError::MalformedKey)
    }
}
