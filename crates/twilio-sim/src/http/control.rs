//! The control routes under `/_sim`: JSON, without credentials and faults.

use actix_web::web::{self, Data, Json, Path};
use actix_web::{HttpResponse, Responder};
use bytes::Bytes;
use chrono::Duration;
use futures::stream;
use serde::Deserialize;
use serde_json::json;

use crate::assets::Assets;
use crate::change::{Mutation, NewMessage, Patch};
use crate::faults::Faults;
use crate::http::control_webhooks;
use crate::iterate::ALWAYS;
use crate::requests::RequestLog;
use crate::shared::Shared;
use crate::writer::write_row;

/// Messages in one chunk of the truth.
const BATCH: usize = 1000;

/// Adds the routes.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("", web::get().to(summary))
        .route("/truth", web::get().to(truth))
        .route("/truth/{sid}", web::get().to(truth_of))
        .route("/messages", web::post().to(insert))
        .route("/messages/{sid}", web::patch().to(patch))
        .route("/messages/{sid}", web::delete().to(delete))
        .route("/mutate", web::post().to(mutate))
        .route("/advance", web::post().to(advance))
        .route("/faults", web::get().to(faults))
        .route("/faults", web::put().to(set_faults))
        .route("/requests", web::get().to(requests))
        .route("/requests", web::delete().to(reset_requests))
        .route("/revoke", web::post().to(revoke))
        .route("/restore", web::post().to(restore))
        .route("/credentials", web::get().to(credentials))
        .route("/assets", web::get().to(assets))
        .route("/verifications", web::get().to(verifications))
        .route("/unreachable", web::put().to(set_unreachable))
        .configure(control_webhooks::configure)
        .default_service(web::to(HttpResponse::NotFound));
}

async fn summary(shared: Data<Shared>) -> impl Responder {
    let (store, now) = shared.read_main();
    Json(json!({
        "url": shared.url,
        "account_sid": shared.credentials.account_sid,
        "live": store.live_count(now),
        "now": shared.clock.now().to_rfc3339(),
        "seed": shared.seed,
        "addresses": {
            "GET /_sim/truth": "every live message, newest first, one JSON object a line",
            "GET /_sim/truth/{sid}": "one live message",
            "POST /_sim/messages": "insert a message; answers its sid",
            "PATCH /_sim/messages/{sid}": "change a message",
            "DELETE /_sim/messages/{sid}": "delete a message",
            "POST /_sim/mutate": "change a share of all messages",
            "POST /_sim/advance": "move the clock by {\"seconds\"}",
            "GET|PUT /_sim/faults": "the faults in force",
            "GET|DELETE /_sim/requests": "the request log",
            "POST /_sim/revoke": "refuse {\"username\"} from now on",
            "POST /_sim/restore": "take that back",
            "GET /_sim/credentials": "every account and key",
            "GET /_sim/assets": "the main account's numbers and services",
            "GET /_sim/verifications": "every verification with its code, newest first",
            "PUT /_sim/unreachable": "refuse {\"recipient\"} with {\"code\"}, or with none again",
            "webhooks": control_webhooks::addresses(),
        },
    }))
}

async fn truth(shared: Data<Shared>) -> HttpResponse {
    let lines = stream::unfold((None, shared), |(anchor, shared)| async move {
        let mut out = Vec::new();
        let (store, now) = shared.read_main();
        let mut last = None;
        for key in store.newest_first(ALWAYS, anchor, now).take(BATCH) {
            if let Some(row) = store.row_at(key, now) {
                write_row(&mut out, &row);
                out.push(b'\n');
            }
            last = Some(key);
        }
        drop(store);
        last.map(|last| {
            (
                Ok::<_, std::convert::Infallible>(Bytes::from(out)),
                (Some(last), shared),
            )
        })
    });
    HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .streaming(Box::pin(lines))
}

async fn truth_of(shared: Data<Shared>, sid: Path<String>) -> HttpResponse {
    let (store, now) = shared.read_main();
    match store.row(&sid, now) {
        Some(row) => HttpResponse::Ok().json(row.to_message()),
        None => HttpResponse::NotFound().finish(),
    }
}

async fn insert(shared: Data<Shared>, message: Json<NewMessage>) -> HttpResponse {
    let sid = super::insert(&shared, message.into_inner());
    HttpResponse::Created().json(json!({ "sid": sid }))
}

async fn patch(shared: Data<Shared>, sid: Path<String>, patch: Json<Patch>) -> HttpResponse {
    done(super::patch(&shared, &sid, patch.into_inner()))
}

async fn delete(shared: Data<Shared>, sid: Path<String>) -> HttpResponse {
    done(super::delete(&shared, &sid))
}

fn done(found: bool) -> HttpResponse {
    if found {
        HttpResponse::NoContent().finish()
    } else {
        HttpResponse::NotFound().finish()
    }
}

async fn mutate(shared: Data<Shared>, mutation: Json<Mutation>) -> impl Responder {
    Json(super::mutate(&shared, &mutation))
}

#[derive(Debug, Deserialize)]
struct Advance {
    seconds: i64,
}

async fn advance(shared: Data<Shared>, by: Json<Advance>) -> HttpResponse {
    match Duration::try_seconds(by.seconds) {
        Some(by) => {
            super::advance(&shared, by);
            HttpResponse::Ok().json(json!({ "now": shared.clock.now().to_rfc3339() }))
        }
        None => HttpResponse::BadRequest().finish(),
    }
}

async fn faults(shared: Data<Shared>) -> impl Responder {
    Json(shared.faults())
}

async fn set_faults(shared: Data<Shared>, faults: Json<Faults>) -> HttpResponse {
    shared.set_faults(faults.into_inner());
    HttpResponse::NoContent().finish()
}

async fn requests(shared: Data<Shared>) -> impl Responder {
    let log = shared.log().clone();
    Json(log)
}

async fn reset_requests(shared: Data<Shared>) -> HttpResponse {
    *shared.log() = RequestLog::default();
    HttpResponse::NoContent().finish()
}

#[derive(Debug, Deserialize)]
struct Username {
    username: String,
}

async fn revoke(shared: Data<Shared>, who: Json<Username>) -> HttpResponse {
    shared.revoke(&who.username);
    HttpResponse::NoContent().finish()
}

async fn restore(shared: Data<Shared>, who: Json<Username>) -> HttpResponse {
    shared.restore(&who.username);
    HttpResponse::NoContent().finish()
}

async fn credentials(shared: Data<Shared>) -> impl Responder {
    Json(shared.credentials.clone())
}

async fn assets(shared: Data<Shared>) -> impl Responder {
    Json(Assets::of_main(&shared))
}

async fn verifications(shared: Data<Shared>) -> impl Responder {
    let now = shared.clock.seconds();
    Json(shared.verifications().sent_codes(now))
}

#[derive(Debug, Deserialize)]
struct Unreachable {
    recipient: String,
    code: Option<u32>,
}

async fn set_unreachable(shared: Data<Shared>, who: Json<Unreachable>) -> HttpResponse {
    shared.set_unreachable(&who.recipient, who.code);
    HttpResponse::NoContent().finish()
}
