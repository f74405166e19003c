//! The pages for people: the first page, and `/docs`, which shows the OpenAPI document and sends requests. All of it comes from the binary.

use std::fmt::Write;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use registry::Registry;

use crate::error::{ApiError, NotFound};

/// The pages and the document, made once.
pub(crate) struct Pages {
    openapi: Bytes,
    home: Bytes,
    docs: Bytes,
}

impl Pages {
    /// Creates the pages for an OpenAPI document. The links of `/docs` begin with the path of `public_url`.
    pub(crate) fn new(openapi: String, registry: &Registry, public_url: Option<&str>) -> Self {
        let path = public_url
            .and_then(|url| url::Url::parse(url).ok())
            .map(|url| url.path().trim_end_matches('/').to_owned());
        Self {
            openapi: openapi.into(),
            home: home_page(registry).into(),
            docs: DOCS.replace("{base}", &path.unwrap_or_default()).into(),
        }
    }
}

const DOCS: &str = include_str!("../assets/docs/index.html");

/// The parts of the page at `/docs`: name, content type and text.
const PARTS: [(&str, &str, &str); 5] = [
    (
        "docs.css",
        "text/css; charset=utf-8",
        include_str!("../assets/docs/docs.css"),
    ),
    ("docs.js", SCRIPT, include_str!("../assets/docs/docs.js")),
    ("dom.js", SCRIPT, include_str!("../assets/docs/dom.js")),
    ("schema.js", SCRIPT, include_str!("../assets/docs/schema.js")),
    ("try.js", SCRIPT, include_str!("../assets/docs/try.js")),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The content security policy of the page: it runs its own scripts, sends requests to its own server, and cannot be embedded, since
/// people type a key into it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// Writes the first page: what this is and where things are.
fn home_page(registry: &Registry) -> String {
    let mut providers = String::new();
    for provider in registry.iter() {
        let (title, name) = (escape(&provider.display_name), &provider.name);
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

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// The first page, for people.
#[utoipa::path(
    get, path = "/", operation_id = "home", tag = "service", security(()), responses((status = 200, description = "The page", body = String, content_type = "text/html"))
)]
pub(crate) async fn home(pages: web::Data<Pages>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ))
        .body(pages.home.clone())
}

/// This document: OpenAPI 3.1, with the routes of each provider and model of this server.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "openapi", tag = "service", security(()), responses((status = 200, description = "The document", body = serde_json::Value))
)]
pub(crate) async fn openapi_json(pages: web::Data<Pages>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((CACHE_CONTROL, "public, max-age=60"))
        .body(pages.openapi.clone())
}

/// A page that shows this document and sends requests.
#[utoipa::path(
    get, path = "/docs", operation_id = "docs", tag = "service", security(()), responses((status = 200, description = "The page", body = String, content_type = "text/html"))
)]
pub(crate) async fn docs(pages: web::Data<Pages>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(pages.docs.clone())
}

/// A part of the page: a script or a style sheet.
#[utoipa::path(
    get, path = "/docs/{part}", operation_id = "docs_part", tag = "service", security(()),
    params(("part" = String, Path, description = "Its name", example = "docs.js")),
    responses((status = 200, description = "The part", content((String = "text/javascript"), (String = "text/css"))), NotFound)
)]
pub(crate) async fn docs_part(part: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let (_, kind, text) = PARTS
        .iter()
        .find(|(name, ..)| *name == part.as_str())
        .ok_or(ApiError::NoRoute)?;
    Ok(HttpResponse::Ok().content_type(*kind).body(*text))
}
