//! Serves the table of routes: one actix resource for each path. `Allow`, 405, `HEAD` and `OPTIONS` follow from the operations of the path.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::guard::fn_guard;
use actix_web::http::{Method, header};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, ServiceConfig};
use actix_web::{Error, HttpMessage, HttpResponse, Route};
use tracing::Span;

use crate::caller::authenticate;
use crate::error::{ApiError, no_route};
use crate::middleware::OperationId;

/// What a request must have before its handler runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing, or what the handler checks itself.
    Open,
    /// An API key or the token of a connect session.
    Key,
    /// The same. Methods without a handler are 404 and not 405, and `OPTIONS` is one of them: the path is the provider's.
    Proxy,
}

/// A method of a path.
pub(crate) struct Operation {
    pub(crate) method: Method,
    /// The id in the OpenAPI document; the log shows it.
    pub(crate) id: Arc<str>,
    /// The id of the general operation, which the log shows if the integration does not have the name of a provider.
    pub(crate) general_id: Arc<str>,
    /// The provider whose file declares the operation; `None` if every integration has it.
    pub(crate) provider: Option<String>,
    /// Makes the route to the handler.
    pub(crate) route: fn() -> Route,
}

impl Operation {
    /// An operation that every integration has.
    pub(crate) fn general(method: Method, id: &str, route: fn() -> Route) -> Self {
        let id: Arc<str> = id.into();
        Self {
            method,
            general_id: Arc::clone(&id),
            id,
            provider: None,
            route,
        }
    }
}

/// A path and its operations.
pub(crate) struct Resource {
    /// The path as OpenAPI writes it.
    pub(crate) path: String,
    /// The path as actix writes it.
    pub(crate) pattern: String,
    pub(crate) access: Access,
    pub(crate) operations: Vec<Operation>,
    /// The names of all providers.
    pub(crate) providers: Arc<BTreeSet<String>>,
}

/// The order in which `Allow` names methods.
const METHODS: [Method; 6] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

impl Resource {
    /// Registers the path with its handlers.
    pub(crate) fn register(self: &Arc<Self>, config: &mut ServiceConfig) {
        let (guard, server) = (Arc::clone(self), Arc::clone(self));
        let mut resource = web::resource(self.pattern.as_str())
            .default_service(web::to(no_route))
            // The router decodes paths before it compares them, but an encoded name of a route is not its name.
            .guard(fn_guard(move |context| {
                let path = context.head().uri.path();
                fits(&guard.path, path) && guard.of_integration(path).next().is_some()
            }));
        // The first handler of a method is used. The table has actions after lists, and the handler of actions lists as well.
        for operation in self.operations.iter().rev() {
            resource = resource.route((operation.route)().method(operation.method.clone()));
        }
        config.service(resource.wrap(from_fn(move |request, next| {
            serve(Arc::clone(&server), request, next)
        })));
    }

    /// Returns the operations that the integration in a path has. An integration with the name of a provider has the operations of that
    /// provider; any other may be of any provider.
    fn of_integration(&self, path: &str) -> impl Iterator<Item = &Operation> {
        let integration = first_segment(path);
        let is_provider = self.providers.contains(integration);
        self.operations.iter().filter(move |operation| {
            let provider = operation.provider.as_deref();
            provider.is_none_or(|provider| !is_provider || provider == integration)
        })
    }

    /// Returns the operation of a method; `HEAD` is `GET` unless it has its own handler.
    fn find(&self, method: &Method, path: &str) -> Option<&Operation> {
        let find = |wanted: &Method| {
            self.of_integration(path)
                .find(|operation| operation.method == *wanted)
        };
        let get = || find(&Method::GET).filter(|_| *method == Method::HEAD);
        find(method).or_else(get)
    }

    /// Returns the value of the header `Allow`.
    fn allowed(&self, path: &str) -> String {
        let mut allowed = METHODS.to_vec();
        allowed.retain(|method| self.find(method, path).is_some());
        allowed.push(Method::OPTIONS);
        allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// The parameters whose values may contain slashes: a connection's name and a provider's path.
pub(crate) const WITH_SLASHES: [&str; 2] = ["{connection_id}", "{endpoint}"];

/// Whether a request's path has the form of a path of the document. Each thread of the server would need a regular expression for each path
/// to let actix compare the path as it was sent.
fn fits(path: &str, sent: &str) -> bool {
    let fits_one = |(wanted, sent): (&str, &str)| match wanted.split_once('{').zip(wanted.split_once('}')) {
        None => wanted == sent,
        Some(((before, _), (_, after))) => {
            let inner = sent
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after));
            inner.is_some_and(|value| !value.is_empty())
        }
    };
    let long = WITH_SLASHES
        .iter()
        .find_map(|parameter| path.split_once(*parameter));
    let Some((before, after)) = long else {
        let (wanted, sent) = (path.split('/'), sent.split('/'));
        return wanted.clone().count() == sent.clone().count() && wanted.zip(sent).all(fits_one);
    };
    // The parameter is between slashes, or the last.
    let (first, last) = (before.split('/').count() - 1, after.split('/').count() - 1);
    let all = sent.split('/').count();
    all > first + last
        && before.split('/').take(first).zip(sent.split('/')).all(fits_one)
        && after
            .split('/')
            .skip(1)
            .zip(sent.split('/').skip(all - last))
            .all(fits_one)
}

fn first_segment(path: &str) -> &str {
    path.trim_start_matches('/').split('/').next().unwrap_or_default()
}

/// Responds to what needs no handler, checks the key, and calls the handler.
async fn serve(
    resource: Arc<Resource>,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (method, path) = (request.method().clone(), request.path().to_owned());
    let mut head_of_get = false;
    if let Some(operation) = resource.find(&method, &path) {
        let integration = first_segment(&path);
        let is_own = operation
            .provider
            .as_deref()
            .is_none_or(|provider| provider == integration);
        let id = if is_own {
            &operation.id
        } else {
            &operation.general_id
        };
        Span::current().record("operation", &**id);
        request.extensions_mut().insert(OperationId(Arc::clone(id)));
        head_of_get = method == Method::HEAD && operation.method == Method::GET;
        request.head_mut().method.clone_from(&operation.method);
    } else if resource.access != Access::Proxy {
        let allowed = resource.allowed(&path);
        if method == Method::OPTIONS {
            let response = HttpResponse::NoContent()
                .insert_header((header::ALLOW, allowed))
                .finish();
            return Ok(request.into_response(response));
        }
        let method = method.to_string();
        return Ok(request.error_response(ApiError::MethodNotAllowed { method, allowed }));
    }
    if resource.access != Access::Open
        && let Err(error) = authenticate(&request).await
    {
        return Ok(request.error_response(error));
    }
    let response = next.call(request).await?;
    if !head_of_get {
        return Ok(response);
    }
    // The server leaves out a body of known length and sends the length; a stream must not even begin.
    Ok(response.map_body(|_, body| match body.size() {
        BodySize::Stream => BoxBody::new(body::None::new()),
        BodySize::None | BodySize::Sized(_) => body,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_fits_if_its_segments_do() {
        for (path, sent, wanted) in [
            ("/sync/runs", "/sync/runs", true),
            ("/sync/runs", "/sync/run%73", false),
            ("/sync/runs/{id}", "/sync/runs/run_1", true),
            ("/sync/runs/{id}", "/sync/runs/", false),
            ("/sync/runs/{id}", "/sync/runs/a/b", false),
            ("/connections/{connection_id}", "/connections/a/b", true),
            ("/connections/{connection_id}", "/connections", false),
            (
                "/connections/{connection_id}/metadata",
                "/connections/a/b/metadata",
                true,
            ),
            (
                "/connections/{connection_id}/metadata",
                "/connections/metadata",
                false,
            ),
            ("/connections/{connection_id}/metadata", "/connections/a/b", false),
            ("/proxy/{endpoint}", "/proxy/", true),
            ("/proxy/{endpoint}", "/proxy/a//b", true),
            ("/proxy/{endpoint}", "/prox%79/a", false),
            ("/{integration}/messages/{sid}", "/mine/messages/m1", true),
            ("/images/{provider}.svg", "/images/mine.svg", true),
            ("/images/{provider}.svg", "/images/.svg", false),
            ("/images/{provider}.svg", "/images/mine.png", false),
        ] {
            assert_eq!(fits(path, sent), wanted, "{path} {sent}");
        }
    }
}
