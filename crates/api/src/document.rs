//! The OpenAPI document: the routes' own declarations, and for each provider its forms and its models.

mod action;
mod provider;
mod responses;
mod rules;

use registry::Registry;
use utoipa::OpenApi as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{ContentBuilder, Deprecated, InfoBuilder, LicenseBuilder, OpenApi, PathItem};

use crate::routes::Declared;

/// Returns the document of the routes that every Trunkline has.
pub fn openapi() -> OpenApi {
    finished(declared())
}

/// Returns the same with the routes of each provider of `registry`: its forms, its models, its filters.
pub fn openapi_for(registry: &Registry) -> OpenApi {
    let mut document = declared();
    let general = document.paths.clone();
    for provider in registry.iter() {
        provider::describe(provider, &general, &mut document);
    }
    finished(document)
}

/// Adds what many operations share.
fn finished(mut document: OpenApi) -> OpenApi {
    mark_deprecated(&mut document);
    describe_proxy(&mut document);
    responses::add_shared(&mut document);
    rules::tell(&mut document);
    document
}

/// What the handlers declare.
fn declared() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Trunkline")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Connects accounts of providers by their keys, keeps tables in step with what the providers hold, and answers queries from \
             them. Errors have one shape: a stable code, a message, and the fields that are wrong.\n\n\
             `HEAD` works wherever `GET` does. `OPTIONS` tells what a path takes; anything else there is a 405 (`method_not_allowed`) \
             with the header `Allow`, and a path that is not there a 404 (`not_found`).",
        ))
        .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build()));
    let tag = |name, description| {
        TagBuilder::new()
            .name(name)
            .description(Some(description))
            .build()
    };
    let tags = [
        tag("environments", "Tenants, and the keys that open them"),
        tag("providers", "What integrations can be made of"),
        tag("integrations", "What an environment calls its providers"),
        tag("connections", "Access to accounts at providers"),
        tag("actions", "Calls that an app asks for by name"),
        tag(
            "connect sessions",
            "Permissions to connect for front ends, half an hour each",
        ),
        tag("syncs", "What keeps the tables in step, and its runs"),
        tag("records", "Synced records"),
        tag("proxy", "Calls to providers with the credentials of a connection"),
        tag("service", "The service itself"),
        tag(DEPRECATED, "Kept for clients that know no other name"),
    ];
    let mut key = Http::new(HttpAuthScheme::Bearer);
    key.description = Some("An API key. Each operation names the scope that the key must have.".to_owned());
    let mut session = Http::new(HttpAuthScheme::Bearer);
    session.description = Some("The token of a connect session.".to_owned());
    let token = ApiKeyValue::with_description("connect_session_token", "The token of a connect session.");
    let mut document = Declared::openapi();
    document.info = info.build();
    document.tags = Some(tags.to_vec());
    let components = document.components.get_or_insert_default();
    for (name, scheme) in [
        ("api_key", SecurityScheme::Http(key)),
        ("connect_session", SecurityScheme::Http(session)),
        (
            "connect_session_token",
            SecurityScheme::ApiKey(ApiKey::Query(token)),
        ),
    ] {
        components.add_security_scheme(name, scheme);
    }
    document
}

/// The tag of operations that are deprecated.
const DEPRECATED: &str = "deprecated";

/// Rust's own attribute, from which utoipa would take it, would warn wherever such a route is registered.
fn mark_deprecated(document: &mut OpenApi) {
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        let tags = operation.tags.as_deref().unwrap_or_default();
        if tags.iter().any(|tag| tag == DEPRECATED) {
            operation.deprecated = Some(Deprecated::True);
        }
    }
}

/// The handler of the proxy declares one operation for several methods: each gets an id of its own, and a body where it may have one.
fn describe_proxy(document: &mut OpenApi) {
    let Some(item) = document.paths.paths.get_mut("/proxy/{endpoint}") else {
        return;
    };
    for (method, operation, has_body) in [
        ("get", &mut item.get, false),
        ("head", &mut item.head, false),
        ("post", &mut item.post, true),
        ("put", &mut item.put, true),
        ("patch", &mut item.patch, true),
        ("delete", &mut item.delete, true),
    ] {
        let Some(operation) = operation else { continue };
        operation.operation_id = Some(format!("proxy_{method}"));
        let body = RequestBodyBuilder::new()
            .description(Some("Whatever the provider takes"))
            .content("*/*", ContentBuilder::new().build());
        operation.request_body = has_body.then(|| body.build().into());
    }
}

/// The operations of a path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [
        &mut item.get,
        &mut item.head,
        &mut item.post,
        &mut item.put,
        &mut item.patch,
        &mut item.delete,
    ];
    all.into_iter().flatten()
}
