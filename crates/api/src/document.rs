//! The OpenAPI document: the routes' own declarations, and for each provider its forms and its models.

mod action;
mod provider;
mod rules;

pub(crate) use action::inputs_of;
pub(crate) use provider::schema_of;

use std::fmt::Write;

use actix_web::App;
use registry::Registry;
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ContentBuilder, Deprecated, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Server,
};
use utoipa_actix_web::AppExt;

use crate::docs;
use crate::methods::Methods;
use crate::routes::routes;

/// What is served of the document, made once.
pub(crate) struct Document {
    pub(crate) json: String,
    pub(crate) page: String,
    pub(crate) docs: String,
    pub(crate) methods: Methods,
}

impl Document {
    pub(crate) fn new(registry: &Registry, public_url: Option<&str>) -> Self {
        let mut document = openapi_for(registry);
        let methods = Methods::of(&document, registry);
        document.servers = public_url.map(|url| vec![Server::new(url.trim_end_matches('/'))]);
        Self {
            json: serde_json::to_string(&document).unwrap_or_default(),
            page: page(registry),
            docs: docs::page(public_url),
            methods,
        }
    }
}

/// The document of the routes that every Trunkline has.
pub fn openapi() -> OpenApi {
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
    let mut components = Components::new();
    components.add_security_scheme("api_key", SecurityScheme::Http(key));
    let mut session = Http::new(HttpAuthScheme::Bearer);
    session.description = Some("The token of a connect session.".to_owned());
    components.add_security_scheme("connect_session", SecurityScheme::Http(session));
    let token = ApiKeyValue::with_description("connect_session_token", "The token of a connect session.");
    components.add_security_scheme(
        "connect_session_token",
        SecurityScheme::ApiKey(ApiKey::Query(token)),
    );
    let base = OpenApiBuilder::new()
        .info(info.build())
        .tags(Some(tags))
        .components(Some(components))
        .build();
    let (_, mut document) = App::new()
        .into_utoipa_app()
        .openapi(base)
        .configure(routes)
        .split_for_parts();
    mark_deprecated(&mut document);
    tell_apart(&mut document);
    rules::tell(&mut document);
    document
}

/// The tag of operations that are deprecated.
const DEPRECATED: &str = "deprecated";

/// Rust's own attribute, from which utoipa would take it, would warn wherever such a route is registered.
fn mark_deprecated(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.patch,
            &mut item.put,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            let tags = operation.tags.as_deref().unwrap_or_default();
            if tags.iter().any(|tag| tag == DEPRECATED) {
                operation.deprecated = Some(Deprecated::True);
            }
        }
    }
}

/// A route for several methods declares one operation; each method's needs an id of its own, and a body where it has one.
fn tell_apart(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        let body = || {
            let any = ContentBuilder::new().build();
            RequestBodyBuilder::new()
                .description(Some("Whatever the provider takes"))
                .content("*/*", any)
                .build()
        };
        let methods = [
            ("get", &mut item.get, false),
            ("head", &mut item.head, false),
            ("post", &mut item.post, true),
            ("put", &mut item.put, true),
            ("patch", &mut item.patch, true),
            ("delete", &mut item.delete, true),
        ];
        for (method, operation, has_body) in methods {
            if let Some(operation) = operation
                .as_mut()
                .filter(|operation| operation.operation_id.as_deref() == Some("proxy"))
            {
                operation.operation_id = Some(format!("proxy_{method}"));
                operation.request_body = has_body.then(|| body().into());
            }
        }
    }
}

/// The same with the routes of each provider of `registry`: its forms, its models, its filters.
pub fn openapi_for(registry: &Registry) -> OpenApi {
    let mut document = openapi();
    for provider in registry.iter() {
        provider::describe(provider, &mut document);
        action::describe(provider, &mut document);
    }
    rules::tell(&mut document);
    document
}

/// The first page: what this is and where things are.
fn page(registry: &Registry) -> String {
    let mut providers = String::new();
    for provider in registry.iter() {
        let (title, name) = (escaped(&provider.display_name), &provider.name);
        // Writing to a string does not fail.
        let _ = write!(providers, "<li>{title}: <code>POST /{name}/connect</code></li>");
    }
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Trunkline</title>\
         <h1>Trunkline {}</h1><p>A self-hosted connector gateway. This is its API; every request needs \
         <code>Authorization: Bearer</code> and an API key.</p>\
         <ul><li><a href=\"/docs\">Read and try the API</a></li><li><a href=\"/openapi.json\">OpenAPI document</a></li><li><a href=\"/health\">health</a></li>\
         <li><a href=\"/ready\">readiness</a></li></ul><p>Providers:</p><ul>{providers}</ul></html>\n",
        env!("CARGO_PKG_VERSION"),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
