//! The table of routes. The resources of the server, the OpenAPI document and the ids of operations in the log follow from it.

mod provider;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actix_web::Route;
use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use registry::Registry;
use utoipa::openapi::path::HttpMethod;
use utoipa::{OpenApi, Path};

pub(crate) use self::provider::{Kind, ProviderRoute, provider_routes};
use crate::actions::short;
use crate::connect::forms;
use crate::connections::update;
use crate::error::{self, ErrorBody};
use crate::nango::aliases::{ALIASES, former_id};
use crate::nango::connections as old_connections;
use crate::nango::webhooks as environment_webhooks;
use crate::nango::{config, front_end, oauth, quickstart, scripts, telemetry, variables};
use crate::records::feed;
use crate::router::{Access, Operation, Resource, WITH_SLASHES};
use crate::syncs::{frequency, variants};
use crate::webhooks::{deliveries, endpoints, events, incoming, receive, subscriptions};
use crate::{
    actions, connect, connect_sessions, connections, environments, functions, health, integrations, pages,
    providers, proxy, records, runs, syncs, verify,
};

/// Lists the handlers, and makes from the list their declarations and the function that adds them to the table.
macro_rules! table {
    ($($access:ident { $($module:ident: [$($handler:ident),+],)+ })+) => { pastey::paste! {
        /// The part of the OpenAPI document that the handlers declare.
        #[derive(OpenApi)]
        #[openapi(paths($($($($module::$handler,)+)+)+), components(schemas(ErrorBody)))]
        pub(crate) struct Declared;

        fn add_handlers(builder: &mut Builder) {
            $($($(
                builder.add_handler::<$module::[<__path_ $handler>]>(Access::$access, || web::to($module::$handler));
            )+)+)+
        }
    }};
}

table! {
    Open {
        connect_sessions: [get, end],
        front_end: [api_key, basic, unauthenticated],
        health: [health, ready],
        pages: [home, openapi_json, docs, docs_part],
        providers: [logo],
        receive: [integration, connection],
        telemetry: [telemetry],
    }
    Key {
        actions: [trigger, result],
        config: [get],
        connect: [connect],
        connect_sessions: [create, reconnect],
        connections: [list, import, get, delete],
        deliveries: [list, get, replay],
        endpoints: [list, create, get, update, delete, rotate_secret, example, replay],
        environment_webhooks: [get, set, rotate_signing_key],
        environments: [list, create, delete, list_keys, create_key, revoke_key],
        events: [list],
        feed: [read, prune],
        forms: [forms],
        frequency: [update],
        functions: [list, get, code],
        incoming: [list, get, replay, address],
        integrations: [list, create, get, update, delete],
        old_connections: [set_metadata, merge_metadata],
        providers: [list, get, templates],
        quickstart: [quickstart],
        records: [list],
        runs: [list, get],
        scripts: [config],
        subscriptions: [subscribe, show, unsubscribe],
        syncs: [trigger, pause, start, status],
        update: [patch, set_metadata, merge_metadata],
        variables: [variables],
        variants: [create, delete],
        verify: [verify],
    }
    Proxy {
        proxy: [call],
    }
}

/// Every resource, in the order in which the router tries them.
pub(crate) struct Table(Vec<Arc<Resource>>);

impl Table {
    /// Makes the table, with the operations that the provider files declare.
    pub(crate) fn new(registry: &Registry) -> Self {
        let mut builder = Builder::new(registry);
        let mut routes: Vec<_> = registry
            .iter()
            .flat_map(|provider| provider_routes(provider))
            .collect();
        // `Resource::register` relies on it.
        routes.sort_by_key(|route| matches!(route.kind, Kind::Action(_)));
        for route in routes {
            builder.add_of_provider(&route);
        }
        add_handlers(&mut builder);
        Self(builder.resources.into_values().map(Arc::new).collect())
    }

    /// Registers all routes, and those that the document does not show.
    pub(crate) fn register(&self, config: &mut ServiceConfig) {
        config
            .configure(error::unreadable_heads)
            .configure(oauth::refusals);
        for resource in &self.0 {
            resource.register(config);
        }
    }
}

struct Builder {
    /// By their order and actix's pattern.
    resources: BTreeMap<(Order, String), Resource>,
    providers: Arc<BTreeSet<String>>,
}

impl Builder {
    fn new(registry: &Registry) -> Self {
        let providers = registry.iter().map(|provider| provider.name.to_string());
        Self {
            resources: BTreeMap::new(),
            providers: Arc::new(providers.collect()),
        }
    }

    fn resource(&mut self, path: &str, pattern: String, access: Access) -> &mut Resource {
        let key = (Order::new(path, access), pattern.clone());
        self.resources.entry(key).or_insert_with(|| Resource {
            path: path.to_owned(),
            pattern,
            access,
            operations: Vec::new(),
            providers: Arc::clone(&self.providers),
        })
    }

    /// Adds the operations of a handler, one for each method, at its path and at its former path, if `ALIASES` has one.
    fn add_handler<T: Path>(&mut self, access: Access, route: fn() -> Route) {
        let id = T::operation().operation_id.unwrap_or_default();
        let mut methods: Vec<Method> = T::methods().iter().map(method).collect();
        if access == Access::Proxy {
            let further = proxy::FURTHER_METHODS.iter();
            methods.extend(further.filter_map(|name| Method::from_bytes(name.as_bytes()).ok()));
        }
        let several = methods.len() > 1;
        for method in methods {
            let id = if several {
                format!("{id}_{method}").to_lowercase()
            } else {
                id.clone()
            };
            for (_, former) in ALIASES.iter().filter(|(of, _)| *of == id) {
                let operation = Operation::general(method.clone(), &former_id(&id), route);
                self.add(former, access, operation);
            }
            self.add(&T::path(), access, Operation::general(method, &id, route));
        }
    }

    /// Adds an operation at its path, which is as OpenAPI writes it: `/connections/{connection_id}`.
    fn add(&mut self, path: &str, access: Access, operation: Operation) {
        let mut pattern = path.to_owned();
        for parameter in WITH_SLASHES {
            pattern = pattern.replace(parameter, &parameter.replace('}', ":.*}"));
        }
        self.resource(path, pattern, access).operations.push(operation);
    }

    /// Adds an operation that a provider file declares. Integrations are created at run time, so there is one resource for each declared
    /// path, whatever the integration.
    fn add_of_provider(&mut self, route: &ProviderRoute<'_>) {
        let path = format!("/{{integration}}{}", route.path);
        let (pattern, handler): (_, fn() -> Route) = match route.kind {
            Kind::Connect => (path.clone(), || web::to(connect::connect)),
            Kind::Forms => (path.clone(), || web::to(forms::forms)),
            Kind::List(_) => (below_integration(&route.path), || web::to(records::list)),
            Kind::Action(_) => (below_integration(&route.path), || web::to(short::run)),
        };
        let operation = Operation {
            method: method(&route.method),
            id: route.id().into(),
            general_id: route.kind.general_id().into(),
            provider: Some(route.provider.to_string()),
            route: handler,
        };
        self.resource(&path, pattern, Access::Key)
            .operations
            .push(operation);
    }
}

/// Returns actix's pattern for a path below an integration. What follows the integration is one parameter, since providers name their
/// parameters differently.
fn below_integration(path: &str) -> String {
    let steps = path.split('/').skip(1);
    let steps = steps.map(|step| if step.starts_with('{') { "[^/]+" } else { step });
    format!(
        "/{{integration}}/{{route:{}}}",
        steps.collect::<Vec<_>>().join("/")
    )
}

/// The order of resources: the proxy first, since it gets most requests; fixed segments before parameters; and longer paths before their
/// prefixes, which may end in a parameter with slashes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Order(bool, Vec<u8>);

impl Order {
    fn new(path: &str, access: Access) -> Self {
        let kind = |segment: &str| u8::from(segment.starts_with('{'));
        let kinds = path.split('/').map(kind).chain([2]);
        Self(access != Access::Proxy, kinds.collect())
    }
}

fn method(method: &HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Options => Method::OPTIONS,
        HttpMethod::Trace => Method::TRACE,
    }
}
