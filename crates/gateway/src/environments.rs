//! Environments: the tenants of all other objects.

use domain::{Environment, EnvironmentName};
use store::environments;
use store::{StoreError, connections};

use crate::caller::Caller;
use crate::error::{GatewayError, Result};
use crate::gateway::Gateway;

/// All environments, by name.
pub async fn list(gateway: &Gateway) -> Result<Vec<Environment>> {
    Ok(gateway.store.read(environments::list).await?)
}

/// The environment of that name.
pub async fn find(gateway: &Gateway, name: &str) -> Result<Environment> {
    let unknown = || GatewayError::NotFound(format!("unknown environment {name:?}"));
    let parsed: EnvironmentName = name.parse().map_err(|_| unknown())?;
    let found = gateway.store.read(move |c| environments::by_name(c, &parsed));
    found.await.map_err(GatewayError::or_unknown(unknown))
}

/// Creates an environment.
pub async fn create(gateway: &Gateway, name: &str) -> Result<Environment> {
    let wrong = |message: String| GatewayError::invalid_body("name", message);
    let parsed: EnvironmentName = name
        .parse()
        .map_err(|rule: domain::NameError| wrong(rule.to_string()))?;
    let now = gateway.clock.now();
    let store = &gateway.store;
    let made = store.write(move |c| environments::create(c, &parsed, now));
    made.await.map_err(|error| match error {
        StoreError::Conflict { .. } => wrong(format!("is taken: there is an environment {name:?}")),
        other => other.into(),
    })
}

/// Deletes an environment with its keys and integrations; refused while it has connections, and for the caller's own.
/// `None` is the operator at the command line.
pub async fn delete(gateway: &Gateway, caller: Option<&Caller>, name: &str) -> Result<()> {
    let row = find(gateway, name).await?;
    if caller.is_some_and(|caller| caller.environment == row.id) {
        return Err(GatewayError::EnvironmentInUse(format!(
            "this key belongs to the environment {name:?}: delete it with a key of another one"
        )));
    }
    // Counted and deleted in one transaction, so that no request connects in between.
    let left = gateway.store.write(move |c| {
        environments::lock(c, row.id)?;
        let left = connections::count(c, row.id, None)?;
        if left == 0 {
            environments::delete(c, row.id)?;
        }
        Ok(left)
    });
    match left.await? {
        0 => {
            gateway.caches.callers.clear();
            Ok(())
        }
        left => Err(GatewayError::EnvironmentInUse(format!(
            "the environment {name:?} has {left} connections: delete those first, with their rows"
        ))),
    }
}
