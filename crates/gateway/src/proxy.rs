//! Requests that apps make themselves: forwarded to the provider with the connection's credentials, and the responses back as they come.

use std::sync::Arc;

use upstream::{ProxyRequest, ProxyResponse};

use crate::error::{GatewayError, Result};
use crate::gateway::{Gateway, Names, OpenedConnection};
use crate::health;
use crate::log_context::LogContext;

/// Forwards a request. The response is the provider's, whatever its status; an error means that there is none.
pub async fn send(gateway: &Arc<Gateway>, names: Names<'_>, request: ProxyRequest) -> Result<ProxyResponse> {
    let opened = open(gateway, names).await?;
    LogContext::record(&opened.connection.integration, Some(&opened.connection.name));
    let response = gateway.upstream.proxy(&opened.target, request).await;
    let response = response.map_err(GatewayError::Request)?;
    check_credentials(gateway, &opened, &response);
    Ok(response)
}

/// The connection with open credentials, cached for a second.
async fn open(gateway: &Gateway, names: Names<'_>) -> Result<Arc<OpenedConnection>> {
    let key = (
        names.environment,
        names.integration.to_owned(),
        names.connection.to_owned(),
    );
    let cache = &gateway.caches.opened;
    if let Some(opened) = cache.get(&key) {
        return Ok(opened);
    }
    let generation = cache.generation();
    let (resolved, sealed) = gateway.resolve_with_credentials(names).await?;
    let target = gateway.open(&resolved, &sealed).await?;
    let opened = Arc::new(OpenedConnection {
        connection: resolved.connection,
        target,
    });
    cache.insert(key, Arc::clone(&opened), generation);
    Ok(opened)
}

/// Stores what the response says of the credentials, in the background and for each connection one at a time.
fn check_credentials(gateway: &Arc<Gateway>, opened: &Arc<OpenedConnection>, response: &ProxyResponse) {
    let (id, has_problem) = (opened.connection.id, opened.connection.problem.is_some());
    let refused = response.unauthorized;
    let is_news = if refused {
        !has_problem
    } else {
        has_problem && response.status < 400
    };
    let checked = &gateway.caches.checked;
    if !is_news || checked.get(&id).is_some() {
        return;
    }
    checked.insert(id, (), checked.generation());
    let (shared, opened) = (Arc::clone(gateway), Arc::clone(opened));
    gateway.spawn(async move {
        let OpenedConnection { connection, target } = opened.as_ref();
        let stored = if refused {
            health::check_credentials(&shared, connection, target)
                .await
                .map(drop)
        } else {
            health::clear_problem(&shared, connection).await
        };
        // The request itself succeeded; the next one leads here again.
        if let Err(error) = stored {
            tracing::warn!(
                integration = %connection.integration,
                connection = %connection.name,
                %error,
                "the result of a credentials check was not stored"
            );
        }
    });
}
