//! The control routes of webhooks, under `/_sim`.

use actix_web::web::{self, Data, Json, Path};
use actix_web::{HttpResponse, Responder};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::callbacks::{self, ConversationEvent, CustomWebhook, InboundMessage};
use crate::shared::Shared;
use crate::webhooks::WebhookLog;

/// Adds the routes.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/webhooks", web::get().to(log))
        .route("/webhooks", web::delete().to(reset_log))
        .route("/webhooks", web::post().to(send))
        .route("/webhooks/state", web::get().to(state))
        .route("/webhooks/routes", web::put().to(route))
        .route("/inbound", web::post().to(receive))
        .route("/conversations", web::post().to(announce))
        .route("/calls/{sid}", web::patch().to(end_call));
}

/// Returns the routes with what they do.
pub(crate) fn addresses() -> Value {
    json!({
        "GET|DELETE /_sim/webhooks": "the log of webhooks",
        "POST /_sim/webhooks": "send a webhook: {\"url\", \"method\", \"parameters\" or \"json\", \"account_sid\"}",
        "GET /_sim/webhooks/state": "how many webhooks wait and are in flight",
        "PUT /_sim/webhooks/routes": "send webhooks for the origin {\"from\"} to the origin {\"to\"}",
        "POST /_sim/inbound": "receive a message; answers its sid",
        "POST /_sim/conversations": "send a webhook of Conversations",
        "PATCH /_sim/calls/{sid}": "end a call with {\"status\"}",
    })
}

async fn log(shared: Data<Shared>) -> impl Responder {
    let log = shared.sender.log().clone();
    Json(log)
}

async fn reset_log(shared: Data<Shared>) -> HttpResponse {
    *shared.sender.log() = WebhookLog::default();
    HttpResponse::NoContent().finish()
}

async fn send(shared: Data<Shared>, webhook: Json<CustomWebhook>) -> HttpResponse {
    callbacks::send_custom(&shared, webhook.into_inner());
    HttpResponse::Accepted().finish()
}

async fn state(shared: Data<Shared>) -> impl Responder {
    let (waiting, in_flight) = shared.sender.counts();
    Json(json!({"waiting": waiting, "in_flight": in_flight, "idle": callbacks::is_idle(&shared)}))
}

#[derive(Debug, Deserialize)]
struct Route {
    from: String,
    to: String,
}

async fn route(shared: Data<Shared>, route: Json<Route>) -> HttpResponse {
    shared.sender.route(&route.from, &route.to);
    HttpResponse::NoContent().finish()
}

async fn receive(shared: Data<Shared>, message: Json<InboundMessage>) -> HttpResponse {
    let sid = callbacks::receive(&shared, &message);
    HttpResponse::Created().json(json!({ "sid": sid }))
}

async fn announce(shared: Data<Shared>, event: Json<ConversationEvent>) -> impl Responder {
    Json(json!({"sent": callbacks::announce(&shared, &event)}))
}

#[derive(Debug, Deserialize)]
struct End {
    status: String,
}

async fn end_call(shared: Data<Shared>, sid: Path<String>, end: Json<End>) -> HttpResponse {
    if super::end_call(&shared, &sid, &end.status) {
        HttpResponse::NoContent().finish()
    } else {
        HttpResponse::NotFound().finish()
    }
}
