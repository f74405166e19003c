//! Where people and programs find their way: the first page and the OpenAPI document.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::{HttpResponse, get, web};

use crate::document::Document;

/// The first page, for people.
#[utoipa::path(operation_id = "home", tag = "service", security(()), responses((status = 200, description = "The page", body = String, content_type = "text/html")))]
#[get("/")]
pub(crate) async fn home(document: web::Data<Document>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ))
        .body(document.page.clone())
}

/// This document: OpenAPI 3.1, with a route for each provider and model that this server has.
#[utoipa::path(operation_id = "openapi", tag = "service", security(()), responses((status = 200, description = "The document", body = serde_json::Value)))]
#[get("/openapi.json")]
pub(crate) async fn openapi_json(document: web::Data<Document>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((CACHE_CONTROL, "public, max-age=60"))
        .body(document.json.clone())
}
