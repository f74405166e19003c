//! All routes, in the order in which they are tried: fixed names before those that a provider fills.

use actix_web::middleware::from_fn;
use actix_web::web;
use utoipa_actix_web::scope::scope;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::connections::deprecated;
use crate::{
    actions, api_auth, body, caller, connect, connect_sessions, connections, docs, environments, error,
    functions, health, home, integrations, oauth, providers, proxy, records, runs, syncs, verify,
};

/// Registers every route; this is also what the OpenAPI document is made from.
pub(crate) fn routes(config: &mut ServiceConfig<'_>) {
    let with_key = scope(web::scope(""))
        .service(environments::list)
        .service(environments::create)
        .service(environments::delete)
        .service(environments::list_keys)
        .service(environments::create_key)
        .service(environments::revoke_key)
        .service(functions::variables)
        .service(functions::config)
        .service(providers::list)
        .service(providers::get)
        .service(providers::templates)
        .service(integrations::list)
        .service(integrations::create)
        .service(integrations::quickstart)
        .service(integrations::get)
        .service(integrations::update)
        .service(integrations::delete)
        .service(functions::list)
        .service(functions::get)
        .service(functions::code)
        .service(connections::set_metadata)
        .service(connections::merge_metadata)
        .service(connections::list)
        .service(connections::import)
        .service(connections::get)
        .service(connections::patch)
        .service(connections::delete)
        .service(integrations::deprecated::get)
        .service(deprecated::set_metadata)
        .service(deprecated::merge_metadata)
        .service(deprecated::set_notes)
        .service(deprecated::merge_notes)
        .service(deprecated::list)
        .service(deprecated::get)
        .service(deprecated::delete)
        .service(connect_sessions::create)
        .service(connect_sessions::reconnect)
        .service(syncs::trigger)
        .service(syncs::pause)
        .service(syncs::start)
        .service(syncs::status)
        .service(syncs::frequency::update)
        .service(syncs::variants::create)
        .service(syncs::variants::delete)
        .service(runs::list)
        .service(runs::get)
        .service(records::feed::read)
        .service(records::feed::prune)
        .service(actions::trigger)
        .service(actions::result)
        .map(actions::short::routes)
        .service(connect::connect)
        .service(connect::forms::forms)
        .service(verify::verify)
        .service(records::list)
        .wrap(from_fn(caller::authenticate));
    // First, since it is called most and routes are tried one after the other.
    let proxied = scope(proxy::PREFIX)
        .service(proxy::call)
        .wrap(from_fn(caller::authenticate));
    config
        .service(proxied)
        .app_data(web::PayloadConfig::new(body::MAX_BODY))
        .service(health::health)
        .service(health::ready)
        .service(home::home)
        .service(home::openapi_json)
        .service(docs::docs)
        .service(docs::docs_part)
        .service(providers::logo)
        .map(error::unreadable_heads)
        .map(oauth::refusals)
        .service(connect_sessions::get)
        .service(connect_sessions::end)
        .service(connect_sessions::telemetry)
        .service(api_auth::api_key)
        .service(api_auth::basic)
        .service(api_auth::unauthenticated)
        .service(with_key);
}
