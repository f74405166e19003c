//! The operations that provider files declare, each below the name of an integration.

use domain::{Model, ProviderName};
use registry::{Action, Method, Provider};
use utoipa::openapi::path::HttpMethod;

/// An operation of the integrations of one provider.
pub(crate) struct ProviderRoute<'a> {
    pub(crate) provider: &'a ProviderName,
    pub(crate) method: HttpMethod,
    /// The path below the integration, as OpenAPI writes it: `/messages/{messageSid}`.
    pub(crate) path: String,
    /// The id of the operation in the document.
    pub(crate) id: String,
    pub(crate) kind: Kind<'a>,
}

/// What an operation does.
#[derive(Clone, Copy)]
pub(crate) enum Kind<'a> {
    /// Connects an account.
    Connect,
    /// Shows the forms by which an account is connected.
    Forms,
    /// Lists the records of a model.
    List(&'a Model),
    /// Runs an action.
    Action(&'a Action),
}

impl Kind<'_> {
    /// Returns the id of the operation that does the same for every provider.
    pub(crate) fn general_id(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Forms => "get_connect_forms",
            Self::List(_) => "list_records",
            Self::Action(_) => "trigger_action",
        }
    }
}

/// Returns the operations of a provider's integrations, actions last.
pub(crate) fn provider_routes(provider: &Provider) -> Vec<ProviderRoute<'_>> {
    let name = &provider.name;
    let route = |method, path: String, id: String, kind| ProviderRoute {
        provider: name,
        method,
        path,
        id,
        kind,
    };
    let mut routes = vec![
        route(
            HttpMethod::Post,
            "/connect".to_owned(),
            format!("connect_{name}"),
            Kind::Connect,
        ),
        route(
            HttpMethod::Get,
            "/connect".to_owned(),
            format!("get_{name}_connect_forms"),
            Kind::Forms,
        ),
    ];
    routes.extend(provider.syncs.values().map(|sync| {
        let (path, id) = (
            format!("/{}", sync.model.plural),
            format!("list_{}", sync.model.table),
        );
        route(HttpMethod::Get, path, id, Kind::List(&sync.model))
    }));
    for action in provider.actions.values() {
        if let Some(short) = &action.route {
            let method = match short.method {
                Method::Post => HttpMethod::Post,
                Method::Put => HttpMethod::Put,
                Method::Patch => HttpMethod::Patch,
                Method::Delete => HttpMethod::Delete,
                Method::Get | Method::Head => HttpMethod::Get,
            };
            let id = format!("{name}_{}", action.name).replace('-', "_");
            routes.push(route(method, short.to_string(), id, Kind::Action(action)));
        }
    }
    routes
}
