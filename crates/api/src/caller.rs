//! Who calls: the key is checked before a route sees the request, the scope stands in the route's argument list.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::ops::Deref;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, web};
use domain::{EnvironmentId, IntegrationKey};
use futures::future::LocalBoxFuture;
use gateway::{Gateway, GatewayError, Session};

use crate::actions::short;
use crate::error::ApiError;
use crate::pattern;
use crate::proxy::PREFIX;

/// Scopes as types, so that a route's arguments tell which it needs.
pub(crate) mod scope {
    use gateway::Scope;

    /// A scope that a route needs.
    pub(crate) trait Needed {
        const SCOPE: Scope;
    }

    macro_rules! scopes {
        ($($name:ident),*) => {
            $(
                #[derive(Debug)]
                pub(crate) enum $name {}
                impl Needed for $name {
                    const SCOPE: Scope = Scope::$name;
                }
            )*
            /// All scopes stand here, whether a route needs them yet or not.
            const _: ($(Option<$name>,)*) = ($(None::<$name>,)*);
        };
    }
    scopes!(
        IntegrationsList,
        IntegrationsRead,
        IntegrationsCreate,
        IntegrationsUpdate,
        IntegrationsDelete,
        FunctionsList,
        ConnectionsList,
        ConnectionsRead,
        ConnectionsReadCredentials,
        ConnectionsCreate,
        ConnectionsUpdate,
        ConnectionsDelete,
        ConnectSessionsWrite,
        SyncsRead,
        SyncsExecute,
        SyncsUpdate,
        SyncsVariantCreate,
        SyncsVariantDelete,
        RecordsRead,
        RecordsWrite,
        ActionsExecute,
        Proxy,
        VariablesRead,
        EnvironmentsList,
        EnvironmentsCreate,
        EnvironmentsDelete,
        ApiKeysList,
        ApiKeysCreate,
        ApiKeysDelete
    );
}

/// Somebody whose key is good and carries the scope `S`.
pub(crate) struct Caller<S>(gateway::Caller, PhantomData<S>);

impl<S> Deref for Caller<S> {
    type Target = gateway::Caller;

    fn deref(&self) -> &gateway::Caller {
        &self.0
    }
}

impl<S: scope::Needed> FromRequest for Caller<S> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let who = request.extensions().get::<Identity>().cloned();
        ready(match who {
            Some(Identity::Key(caller)) if caller.may(S::SCOPE) => Ok(Self(caller, PhantomData)),
            Some(Identity::Key(_)) => Err(ApiError::Forbidden(S::SCOPE)),
            // The token of a session is no key.
            Some(Identity::Session(_)) => Err(GatewayError::UnknownKey.into()),
            None => Err(ApiError::Unauthenticated),
        })
    }
}

/// Who sent a request.
#[derive(Clone)]
enum Identity {
    Key(gateway::Caller),
    Session(Session),
}

/// Somebody with a good key that carries the scope `S`, or the holder of a connect session: for what front ends may see, too.
pub(crate) enum SessionOrCaller<S> {
    Session(Session),
    Caller(Caller<S>),
}

impl<S> SessionOrCaller<S> {
    /// The environment that they may look at.
    pub(crate) fn environment(&self) -> EnvironmentId {
        match self {
            Self::Session(session) => session.environment(),
            Self::Caller(caller) => caller.environment,
        }
    }

    /// Whether they may see that integration: a session shows those alone that it allows.
    pub(crate) fn may_see(&self, key: &IntegrationKey) -> bool {
        match self {
            Self::Session(session) => session.allows(key),
            Self::Caller(_) => true,
        }
    }
}

impl<S: scope::Needed> FromRequest for SessionOrCaller<S> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let who = request.extensions().get::<Identity>().cloned();
        ready(match who {
            Some(Identity::Session(session)) => Ok(Self::Session(session)),
            _ => Caller::from_request(request, payload)
                .into_inner()
                .map(Self::Caller),
        })
    }
}

/// The holder of a connect session, whose token stands in the header; nobody else.
pub(crate) struct SessionHolder(pub(crate) Session);

impl FromRequest for SessionHolder {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let token = key(request.headers()).map(str::to_owned);
        let gateway = request.app_data::<web::Data<Gateway>>().cloned();
        Box::pin(async move {
            let token = token?;
            let gateway = gateway.ok_or(ApiError::Unauthenticated)?;
            Ok(Self(gateway.sessions().authenticate(&token).await?))
        })
    }
}

/// Somebody whose key is good, whatever it may do: what they ask for tells which scope they need.
pub(crate) struct AnyCaller(gateway::Caller);

impl Deref for AnyCaller {
    type Target = gateway::Caller;

    fn deref(&self) -> &gateway::Caller {
        &self.0
    }
}

impl FromRequest for AnyCaller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let who = request.extensions().get::<Identity>().cloned();
        ready(match who {
            Some(Identity::Key(caller)) => Ok(Self(caller)),
            // The token of a session is no key.
            Some(Identity::Session(_)) => Err(GatewayError::UnknownKey.into()),
            None => Err(ApiError::Unauthenticated),
        })
    }
}

/// Checks the key of a request to any of the routes behind it, before a byte of its body is read.
pub(crate) async fn authenticate(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    // What no route takes is answered as such, key or not, and goes no further: the router reads an address with its encoding
    // undone, so that it may know a route where the pattern knows none, and nobody would have been identified.
    if pattern::of(request.request()).is_none() || short::is_nothing(request.request()) {
        return Ok(request.error_response(ApiError::NoRoute));
    }
    match identify(&request).await {
        Ok(who) => drop(request.extensions_mut().insert(who)),
        Err(error) => return Ok(request.error_response(error)),
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

async fn identify(request: &ServiceRequest) -> Result<Identity, ApiError> {
    let key = key(request.headers())?;
    let gateway = request
        .app_data::<web::Data<Gateway>>()
        .ok_or(ApiError::Unauthenticated)?;
    if Session::is_token(key) {
        return Ok(Identity::Session(gateway.sessions().authenticate(key).await?));
    }
    // What a revoked key reads within the time of the cache ends with it; what it makes or deletes would last.
    let cached =
        matches!(*request.method(), Method::GET | Method::HEAD) || request.path().starts_with(PREFIX);
    let keys = gateway.keys();
    Ok(Identity::Key(if cached {
        keys.authenticate(key).await?
    } else {
        keys.authenticate_anew(key).await?
    }))
}

/// The key in the header: what follows `Bearer`, or a bare key, which Nango takes too.
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
