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
    pub(crate) kind: Kind<'a>,
}

impl ProviderRoute<'_> {
    /// Returns the id of the operation in the document.
    pub(crate) fn id(&self) -> String {
        let provider = self.provider;
        match self.kind {
            Kind::Connect => format!("connect_{provider}"),
            Kind::Forms => format!("get_{provider}_connect_forms"),
            Kind::List(model) => format!("list_{}", model.table),
            Kind::Action(action) => format!("{provider}_{}", action.name).replace('-', "_"),
        }
    }
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
    let route = |method, path: &str, kind| ProviderRoute {
        provider: &provider.name,
        method,
        path: path.to_owned(),
        kind,
    };
    let mut routes = vec![
        route(HttpMethod::Post, "/connect", Kind::Connect),
        route(HttpMethod::Get, "/connect", Kind::Forms),
    ];
    for sync in provider.syncs.values() {
        let path = format!("/{}", sync.model.plural);
        routes.push(route(HttpMethod::Get, &path, Kind::List(&sync.model)));
    }
    for action in provider.actions.values() {
        if let Some(short) = &action.route {
            let method = match short.method {
                Method::Post => HttpMethod::Post,
                Method::Put => HttpMethod::Put,
                Method::Patch => HttpMethod::Patch,
                Method::Delete => HttpMethod::Delete,
                Method::Get | Method::Head => HttpMethod::Get,
            };
            routes.push(route(method, &short.to_string(), Kind::Action(action)));
        }
    }
    routes
}
