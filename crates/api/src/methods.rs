//! Methods: what a path does not take is refused with `Allow`, `HEAD` is served wherever `GET` is, `OPTIONS` is answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use registry::Registry;
use utoipa::openapi::{OpenApi, PathItem};

use crate::document::Document;
use crate::error::ApiError;
use crate::pattern;

/// What each path takes, as the document says.
///
/// The pattern that stands first among the routes decides, so that a fixed path takes its own methods alone and not those of a
/// route whose parameters would fit it too. Below an integration, where providers bring routes of their own, the path that the
/// document writes out furthest decides.
pub(crate) struct Methods {
    /// By paths without the names of their parameters.
    fixed: BTreeMap<String, Taken>,
    below_integrations: Vec<Below>,
}

/// What a path takes.
#[derive(Default)]
struct Taken {
    methods: Vec<Method>,
    /// The names of the operations that the document declares.
    operations: Vec<(Method, Arc<str>)>,
}

impl Taken {
    fn of(item: &PathItem) -> Self {
        Self {
            methods: methods(item),
            operations: operations(item),
        }
    }

    fn extend(&mut self, other: &Self) {
        for method in &other.methods {
            if !self.methods.contains(method) {
                self.methods.push(method.clone());
            }
        }
        self.operations.extend_from_slice(&other.operations);
    }
}

/// The operation for which an action's short route stands.
const SHORT_ROUTE: &str = "trigger_action";

/// A path below an integration.
struct Below {
    /// The provider whose it is; `None` if it is every provider's.
    provider: Option<String>,
    /// The segments after the integration; `None` for a parameter.
    steps: Vec<Option<String>>,
    taken: Taken,
}

impl Below {
    /// Whether it is the provider's of that name.
    fn is_of(&self, integration: &str) -> bool {
        self.provider.as_deref() == Some(integration)
    }

    /// Which segments of a path it names, or `None` if it is another.
    fn fit(&self, segments: &[&str]) -> Option<Vec<bool>> {
        let fits =
            |(step, segment): (&Option<String>, &&str)| step.as_ref().is_none_or(|step| step == segment);
        let all = self.steps.len() == segments.len() && self.steps.iter().zip(segments).all(fits);
        all.then(|| self.steps.iter().map(Option::is_some).collect())
    }
}

impl Methods {
    /// Of a document with the routes of the providers of `registry`.
    pub(crate) fn of(document: &OpenApi, registry: &Registry) -> Self {
        let mut fixed: BTreeMap<String, Taken> = BTreeMap::new();
        let mut below_integrations = Vec::new();
        for (path, item) in &document.paths.paths {
            let mut steps = path.split('/').skip(1).map(step);
            let first = steps.next().flatten();
            let of_provider = first.as_deref().is_some_and(|name| registry.get(name).is_some());
            if of_provider || first.is_none() {
                below_integrations.push(Below {
                    provider: first,
                    steps: steps.collect(),
                    taken: Taken::of(item),
                });
            } else {
                fixed.entry(nameless(path)).or_default().extend(&Taken::of(item));
            }
        }
        Self {
            fixed,
            below_integrations,
        }
    }

    /// The methods of a path that a route's pattern fits; `None` if the document does not have it.
    fn get(&self, path: &str, pattern: &str) -> Option<Vec<Method>> {
        if pattern.starts_with("/{") {
            self.below(path, |_| true).map(|taken| taken.methods)
        } else {
            self.fixed
                .get(&nameless(pattern))
                .map(|taken| taken.methods.clone())
        }
    }

    /// The name of the operation that the document gives to a request; `HEAD` is its path's `GET`.
    pub(crate) fn operation(&self, method: &Method, path: &str, pattern: &str) -> Option<Arc<str>> {
        let find = |taken: &Taken| {
            let declared = |wanted: &Method| {
                let mut operations = taken.operations.iter();
                operations
                    .find(|(method, _)| method == wanted)
                    .map(|(_, name)| Arc::clone(name))
            };
            declared(method).or_else(|| {
                (*method == Method::HEAD)
                    .then(|| declared(&Method::GET))
                    .flatten()
            })
        };
        if !pattern.starts_with("/{") {
            return find(self.fixed.get(&nameless(pattern))?);
        }
        let integration = path.trim_matches('/').split('/').next()?;
        let mut all = self.below_integrations.iter();
        if all.any(|below| below.is_of(integration)) {
            return find(&self.below(path, |_| true)?);
        }
        // Whose routes an integration of another name has is not known here: the operations are those that all share, and beside them
        // there are only short routes of actions.
        let shared = self.below(path, |below| below.provider.is_none());
        let short = || {
            self.below(path, |_| true)
                .filter(|taken| taken.methods.contains(method))
        };
        shared
            .and_then(|taken| find(&taken))
            .or_else(|| short().map(|_| Arc::from(SHORT_ROUTE)))
    }

    /// An integration that bears a provider's name has that provider's routes; one of another name may be any provider's.
    fn below(&self, path: &str, wanted: impl Fn(&Below) -> bool) -> Option<Taken> {
        let mut segments = path.trim_matches('/').split('/');
        let integration = segments.next()?;
        let segments: Vec<&str> = segments.collect();
        let named = self
            .below_integrations
            .iter()
            .any(|below| below.is_of(integration));
        let fitting = || {
            let all = self.below_integrations.iter().filter(|below| wanted(below));
            all.filter(move |below| below.provider.is_none() || !named || below.is_of(integration))
                .filter_map(|below| Some((below.fit(&segments)?, &below.taken)))
        };
        let furthest = fitting().map(|(named, _)| named).max()?;
        let mut all = Taken::default();
        for (_, taken) in fitting().filter(|(named, _)| *named == furthest) {
            all.extend(taken);
        }
        Some(all)
    }
}

/// A segment of a path, or `None` for a parameter.
fn step(segment: &str) -> Option<String> {
    (!segment.starts_with('{')).then(|| segment.to_owned())
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

fn operations(item: &PathItem) -> Vec<(Method, Arc<str>)> {
    let declared = [
        (Method::GET, &item.get),
        (Method::HEAD, &item.head),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    let named = declared.into_iter().filter_map(|(method, operation)| {
        let name = operation.as_ref()?.operation_id.as_deref()?;
        Some((method, Arc::from(name)))
    });
    named.collect()
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
    let pattern = pattern::of(request.request());
    let pattern = pattern.as_deref().unwrap_or_default();
    let document = request.app_data::<web::Data<Document>>().cloned();
    let allowed = document
        .as_ref()
        .filter(|_| !pattern.starts_with(PASSED_ON))
        .and_then(|document| document.methods.get(request.path(), pattern));
    let Some(allowed) = allowed else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let method = request.method().clone();
    if method == Method::OPTIONS {
        let answer = HttpResponse::build(StatusCode::NO_CONTENT)
            .insert_header((header::ALLOW, list(&allowed)))
            .finish();
        return Ok(request.into_response(answer));
    }
    if !allowed.contains(&method) {
        let refusal = ApiError::MethodNotAllowed {
            method: method.to_string(),
            allowed: list(&allowed),
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
