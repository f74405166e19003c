//! The OpenAPI document: the handlers' declarations, what many operations share, and the routes of each provider.

mod action;
mod provider;
mod responses;
mod rules;

use registry::Registry;
use utoipa::OpenApi as _;
use utoipa::openapi::path::{HttpMethod, Operation, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{ContentBuilder, Deprecated, InfoBuilder, LicenseBuilder, OpenApi, PathItem};

use crate::nango::aliases::{ALIASES, former_id};
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

/// Adds the shared parts of operations.
fn finished(mut document: OpenApi) -> OpenApi {
    add_aliases(&mut document);
    mark_deprecated(&mut document);
    describe_proxy(&mut document);
    name_receivers(&mut document);
    responses::add_shared(&mut document);
    rules::add(&mut document);
    document
}

/// Returns the handlers' own declarations.
fn declared() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Trunkline")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Connects accounts of providers by their API keys, keeps tables equal to what the providers hold, and serves queries from \
             them. Errors have one shape: a stable code, a message, and the fields that are wrong.\n\n\
             `HEAD` works wherever `GET` does. `OPTIONS` returns the methods of a path. Other methods are a 405 (`method_not_allowed`) \
             with the header `Allow`, and unknown paths a 404 (`not_found`).",
        ))
        .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build()));
    let tag = |name, description| {
        TagBuilder::new()
            .name(name)
            .description(Some(description))
            .build()
    };
    let tags = [
        tag("environments", "Tenants and their API keys"),
        tag("providers", "The services that integrations connect to"),
        tag(
            "integrations",
            "The providers that an environment uses, under its own keys",
        ),
        tag("connections", "Connected accounts of providers"),
        tag("actions", "Requests to providers, by name"),
        tag(
            "connect sessions",
            "Permissions for front ends to connect, for half an hour each",
        ),
        tag("syncs", "The syncs that fill the tables, and their runs"),
        tag("records", "Synced records"),
        tag(
            "webhooks",
            "What happened, sent to the app's endpoints or read as a feed",
        ),
        tag(
            "proxy",
            "Requests to providers with the credentials of a connection",
        ),
        tag("service", "The service itself"),
        tag(DEPRECATED, "For clients that do not know the current routes"),
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

/// Marks deprecated operations by their tag. utoipa would read Rust's own attribute, which would cause a warning in the table of routes.
fn mark_deprecated(document: &mut OpenApi) {
    for (_, operation) in document.paths.paths.values_mut().flat_map(operations) {
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
    for (method, operation) in operations(item) {
        operation.operation_id = Some(format!("proxy_{method}"));
        if !matches!(method, "get" | "head") {
            let body = RequestBodyBuilder::new()
                .description(Some("Whatever the provider accepts"))
                .content("*/*", ContentBuilder::new().build());
            operation.request_body = Some(body.build().into());
        }
    }
}

/// The handlers of webhook addresses declare one operation for two methods: each gets an id of its own, and a POST its body.
fn name_receivers(document: &mut OpenApi) {
    for path in ["/webhook/{environment}/{integration}", "/webhook/{secret}"] {
        let Some(item) = document.paths.paths.get_mut(path) else {
            continue;
        };
        for (method, operation) in operations(item) {
            let id = operation.operation_id.take().unwrap_or_default();
            operation.operation_id = Some(format!("{id}_{method}"));
            if method == "post" {
                let body = RequestBodyBuilder::new()
                    .description(Some("What the provider sends"))
                    .content("*/*", ContentBuilder::new().build());
                operation.request_body = Some(body.build().into());
            }
        }
    }
}

/// Adds the former paths of operations.
fn add_aliases(document: &mut OpenApi) {
    for (id, former) in ALIASES {
        let Some((path, method, mut operation)) = find(&document.paths, id) else {
            continue;
        };
        let verb = serde_json::to_value(&method).unwrap_or_default();
        let verb = verb.as_str().unwrap_or_default().to_uppercase();
        let summary = operation.summary.unwrap_or_default();
        operation.summary = Some(format!("{}: use `{verb} {path}`.", summary.trim_end_matches('.')));
        operation.description = None;
        operation.operation_id = Some(former_id(id));
        operation.tags.get_or_insert_default().push(DEPRECATED.to_owned());
        document.paths.add_path_operation(former, vec![method], operation);
    }
}

/// Returns path, method and declaration of the operation with an id.
fn find(paths: &Paths, id: &str) -> Option<(String, HttpMethod, Operation)> {
    paths.paths.iter().find_map(|(path, item)| {
        let all = [
            (HttpMethod::Get, &item.get),
            (HttpMethod::Post, &item.post),
            (HttpMethod::Patch, &item.patch),
            (HttpMethod::Delete, &item.delete),
        ];
        let mut all = all
            .into_iter()
            .filter_map(|(method, operation)| Some((method, operation.as_ref()?)));
        let (method, operation) = all.find(|(_, operation)| operation.operation_id.as_deref() == Some(id))?;
        Some((path.clone(), method, operation.clone()))
    })
}

/// Returns the operations of a path with their methods in lower case.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("get", &mut item.get),
        ("head", &mut item.head),
        ("post", &mut item.post),
        ("put", &mut item.put),
        ("patch", &mut item.patch),
        ("delete", &mut item.delete),
    ];
    all.into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}
