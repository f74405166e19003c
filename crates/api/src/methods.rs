//! Methods: what a path does not take is refused with `Allow`, `HEAD` is served wherever `GET` is, `OPTIONS` is answered.

use std::collections::BTreeMap;

use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use utoipa::openapi::{OpenApi, PathItem};

use crate::document::Document;
use crate::error::ApiError;

/// What each path takes, as the document says; paths are without the names of their parameters.
///
/// The pattern that stands first among the routes decides, so that a fixed path takes its own methods alone and not those of a
/// route whose parameters would fit it too.
pub(crate) struct Methods(BTreeMap<String, Vec<Method>>);

impl Methods {
    pub(crate) fn of(document: &OpenApi) -> Self {
        let mut all: BTreeMap<String, Vec<Method>> = BTreeMap::new();
        for (path, item) in &document.paths.paths {
            all.entry(nameless(path)).or_default().extend(methods(item));
        }
        Self(all)
    }

    /// The methods of a path that a route's pattern fits. A provider's own path may take others than the route for all of them.
    fn get(&self, path: &str, pattern: &str) -> Option<&[Method]> {
        let own = self.0.get(path);
        own.or_else(|| self.0.get(&nameless(pattern))).map(Vec::as_slice)
    }
}

fn methods(item: &PathItem) -> Vec<Method> {
    let declared = [
        (Method::GET, item.get.is_some()),
        // `GET` brings it.
        (Method::HEAD, item.get.is_some() || item.head.is_some()),
        (Method::POST, item.post.is_some()),
        (Method::PUT, item.put.is_some()),
        (Method::PATCH, item.patch.is_some()),
        (Method::DELETE, item.delete.is_some()),
        (Method::TRACE, item.trace.is_some()),
        (Method::OPTIONS, true),
    ];
    declared
        .into_iter()
        .filter_map(|(method, there)| there.then_some(method))
        .collect()
}

/// A pattern whose parameters are all `{}`: `/a/{b:.*}` and `/a/{c}` are one path.
fn nameless(pattern: &str) -> String {
    let mut short = String::with_capacity(pattern.len());
    let mut depth = 0_u32;
    for letter in pattern.chars() {
        match letter {
            '{' => {
                if depth == 0 {
                    short.push_str("{}");
                }
                depth += 1;
            }
            '}' => depth = depth.saturating_sub(1),
            _ if depth == 0 => short.push(letter),
            _ => {}
        }
    }
    short
}

/// Paths that take every method, those of other standards too: what lies behind them decides.
const PASSED_ON: &str = "/proxy/";

/// Answers what needs no route, and hands on the rest.
pub(crate) async fn check(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let pattern = request.match_pattern().unwrap_or_default();
    let document = request.app_data::<web::Data<Document>>().cloned();
    let allowed = document
        .as_ref()
        .filter(|_| !pattern.starts_with(PASSED_ON))
        .and_then(|document| document.methods.get(request.path(), &pattern));
    let Some(allowed) = allowed else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let method = request.method().clone();
    if method == Method::OPTIONS {
        let answer = HttpResponse::build(StatusCode::NO_CONTENT)
            .insert_header((header::ALLOW, list(allowed)))
            .finish();
        return Ok(request.into_response(answer));
    }
    if !allowed.contains(&method) {
        let refusal = ApiError::MethodNotAllowed {
            method: method.to_string(),
            allowed: list(allowed),
        };
        return Ok(request.error_response(refusal));
    }
    if method != Method::HEAD {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    request.head_mut().method = Method::GET;
    let response = next.call(request).await?.map_into_boxed_body();
    // The server leaves out a body of a known length itself and tells the length; a stream must not even begin.
    Ok(response.map_body(|_, body| match body.size() {
        BodySize::Stream => BoxBody::new(body::None::new()),
        BodySize::None | BodySize::Sized(_) => body,
    }))
}

fn list(methods: &[Method]) -> String {
    methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
}
