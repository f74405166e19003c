//! Requests for actions: resolves connection and action, and checks the inputs.

use std::sync::Arc;

use domain::{ActionName, Connection};
use registry::Action;
use serde_json::{Map, Value as Json};

use crate::caller::Caller;
use crate::error::{GatewayError, Result};
use crate::gateway::{Gateway, Names, ResolvedConnection};
use crate::inputs;

/// A request for an action.
#[derive(Debug, Clone)]
pub struct ActionRequest {
    /// The integration's key.
    pub integration: String,
    /// The connection's name.
    pub connection: String,
    /// The action's name.
    pub action: String,
    /// Its inputs.
    pub input: Map<String, Json>,
    /// The field of the body that holds the inputs, for errors.
    pub within: Option<&'static str>,
    /// The caller's idempotency key; the action runs once for each key.
    pub key: Option<String>,
}

/// A request with its connection and action found, and its inputs checked.
pub(super) struct ResolvedAction {
    pub(super) connection: Connection,
    pub(super) action: Arc<Action>,
    pub(super) inputs: Map<String, Json>,
}

/// The most characters of an idempotency key.
const MAX_KEY: usize = 255;

pub(super) async fn resolve(
    gateway: &Gateway,
    caller: &Caller,
    request: ActionRequest,
) -> Result<ResolvedAction> {
    let names = Names::of(caller, &request.integration, &request.connection);
    let ResolvedConnection {
        integration,
        connection,
    } = gateway.resolve(names).await?;
    let provider = &integration.provider;
    let Some(action) = provider.actions.get(request.action.as_str()) else {
        let known = provider.actions.keys().map(ActionName::as_str);
        let known = known.collect::<Vec<_>>().join(", ");
        return Err(GatewayError::NotFound(format!(
            "{:?} has no action {:?}; it has: {known}",
            request.integration, request.action
        )));
    };
    if request.key.as_ref().is_some_and(|key| !is_key(key)) {
        let message = "must be 1 to 255 visible ASCII characters";
        return Err(GatewayError::InvalidHeader {
            name: "Idempotency-Key",
            message,
        });
    }
    let inputs = action.check(request.input);
    let inputs = inputs.map_err(|errors| inputs::invalid(errors, request.within))?;
    Ok(ResolvedAction {
        connection,
        action: Arc::clone(action),
        inputs,
    })
}

/// The action behind a path below the integration's key, if its provider has one there, and the inputs from the path.
pub async fn at_route(
    gateway: &Gateway,
    caller: &Caller,
    integration: &str,
    method: &str,
    path: &str,
) -> Result<Option<(ActionName, Map<String, Json>)>> {
    let found = gateway
        .resolve_integration(caller.environment, integration)
        .await?;
    let segments: Vec<&str> = path.split('/').collect();
    let route = found.provider.action_at(method, &segments);
    Ok(route.map(|(action, inputs)| {
        let inputs = inputs
            .into_iter()
            .map(|(name, text)| (name.to_owned(), Json::String(text)));
        (action.name.clone(), inputs.collect())
    }))
}

fn is_key(key: &str) -> bool {
    (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}
