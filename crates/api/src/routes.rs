//! All routes, in the order in which they are tried: fixed names before those that a provider fills.

use actix_web::middleware::from_fn;
use actix_web::web;
use utoipa_actix_web::scope::scope;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::{body, caller, connect, connections, docs, health, home, oauth, records, runs, syncs};

/// Registers every route; this is also what the OpenAPI document is made from.
pub(crate) fn routes(config: &mut ServiceConfig<'_>) {
    let with_key = scope(web::scope(""))
        .service(connections::list)
        .service(connections::get)
        .service(connections::delete)
        .service(syncs::trigger)
        .service(syncs::pause)
        .service(syncs::start)
        .service(syncs::status)
        .service(runs::list)
        .service(runs::get)
        .service(connect::connect)
        .service(records::list)
        .wrap(from_fn(caller::authenticate));
    config
        .app_data(web::PayloadConfig::new(body::MAX_BODY))
        .service(health::health)
        .service(health::ready)
        .service(home::home)
        .service(home::openapi_json)
        .service(docs::docs)
        .service(docs::docs_part)
        .map(oauth::refusals)
        .service(with_key);
}
