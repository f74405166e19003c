//! The page on which people read the API and try it. All of it comes from the binary, and it shows what `/openapi.json` says.

use actix_web::http::header::CONTENT_SECURITY_POLICY;
use actix_web::{HttpResponse, get, web};

use crate::document::Document;
use crate::error::{ApiError, ErrorBody};

const PAGE: &str = include_str!("../assets/docs/index.html");

/// The page's parts, by the names under which it asks for them.
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

/// The page runs its own scripts, talks to its own server, and can be embedded nowhere: a key is typed into it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// The page, for a server that clients reach at `public_url`, of which the path counts.
pub(crate) fn page(public_url: Option<&str>) -> String {
    let path = public_url
        .and_then(|url| url::Url::parse(url).ok())
        .map(|url| url.path().trim_end_matches('/').to_owned());
    PAGE.replace("{base}", &path.unwrap_or_default())
}

/// A page to read this document and to try the operations.
#[utoipa::path(operation_id = "docs", tag = "service", security(()), responses((status = 200, description = "The page", body = String, content_type = "text/html")))]
#[get("/docs")]
pub(crate) async fn docs(document: web::Data<Document>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(document.docs.clone())
}

/// A part of the page: its script or its style.
#[utoipa::path(
    operation_id = "docs_part", tag = "service", security(()),
    params(("part" = String, Path, description = "Its name", example = "docs.js")),
    responses(
        (status = 200, description = "The part", content((String = "text/javascript"), (String = "text/css"))),
        (status = 404, description = "`not_found`", body = ErrorBody)
    )
)]
#[get("/docs/{part}")]
pub(crate) async fn docs_part(part: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let (_, kind, text) = PARTS
        .iter()
        .find(|(name, ..)| *name == part.as_str())
        .ok_or(ApiError::NoRoute)?;
    Ok(HttpResponse::Ok().content_type(*kind).body(*text))
}
