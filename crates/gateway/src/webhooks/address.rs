//! The addresses at which providers reach Trunkline.

use domain::{Connection, EnvironmentId};
use registry::Provider;
use secrecy::{ExposeSecret, SecretString};
use store::webhook_secrets::{self, GIVEN_UP};
use vault::webhook_address;

use super::secrets::{SecretKind, place};
use crate::error::{GatewayError, Result, refusable};
use crate::gateway::{Gateway, Names};
use crate::integrations::FullIntegration;

/// The path below which providers reach Trunkline.
const WEBHOOK: &str = "/webhook";

/// The address of one connection.
#[derive(Debug)]
pub struct OwnAddress {
    /// Its path, with the secret in it.
    pub path: SecretString,
    /// Where in the provider people enter the address.
    pub setup: Option<String>,
    /// Whether the provider signs its requests, so that they are verified.
    pub signed: bool,
}

/// Returns the address of a connection, which is made when it is first asked for.
pub async fn own_address(gateway: &Gateway, names: Names<'_>) -> Result<OwnAddress> {
    let resolved = gateway.resolve(names).await?;
    let provider = &resolved.integration.provider;
    let Some(webhooks) = &provider.webhooks else {
        return Err(GatewayError::NotFound(format!(
            "{} has no webhooks here: its provider file does not describe any",
            provider.display_name
        )));
    };
    let secret = match stored(gateway, &resolved.connection).await? {
        Some(secret) => secret,
        None => make(gateway, &resolved.connection).await?,
    };
    Ok(OwnAddress {
        path: format!("{WEBHOOK}/{}", secret.expose_secret()).into(),
        setup: webhooks.setup.clone(),
        signed: !webhooks.signature.is_empty(),
    })
}

/// Opens the secret of the connection's address. One that was given up is replaced by a new one; the lost address stays valid.
async fn stored(gateway: &Gateway, connection: &Connection) -> Result<Option<SecretString>> {
    let id = connection.id;
    let read = gateway
        .store
        .read(move |c| webhook_secrets::of_connection(c, id, SecretKind::Address.as_str()));
    let rows = read.await?;
    let Some(row) = rows.into_iter().find(|row| row.sealed != GIVEN_UP) else {
        return Ok(None);
    };
    match place(&row) {
        Some(place) => Ok(Some(gateway.keys.unseal(&place, &row.sealed).await?)),
        None => Ok(None),
    }
}

async fn make(gateway: &Gateway, connection: &Connection) -> Result<SecretString> {
    let secret = webhook_address::generate();
    let hash = webhook_address::hash(secret.expose_secret());
    let (environment, id, sealed) = (connection.environment, connection.id, secret.clone());
    let (sealer, now) = (gateway.keys.sealer().await, gateway.clock.now());
    let gone = GatewayError::unknown_connection(connection.name.as_str(), connection.integration.as_str());
    let made = gateway.store.write_durably(refusable(move |c| {
        let kind = SecretKind::Address;
        let (text, key_id) = sealer.seal(c, &kind.place_of_connection(environment, id), &sealed, now)?;
        let whose = (environment, id);
        let sealed = (text.as_str(), key_id.as_str());
        if webhook_secrets::insert_of_connection(c, whose, kind.as_str(), sealed, &hash, now)? {
            Ok(())
        } else {
            Err(gone)
        }
    }));
    made.await??;
    Ok(secret)
}

/// Returns the address of a secret in the path of a request.
pub fn address_of(secret: &str) -> crate::gateway::WebhookAddress {
    crate::gateway::WebhookAddress::Connection {
        hash: webhook_address::hash(secret),
    }
}

/// Returns the path of an integration's address; `None` if its provider sends nothing there.
pub async fn integration_path(
    gateway: &Gateway,
    environment: EnvironmentId,
    integration: &FullIntegration,
) -> Result<Option<String>> {
    let provider: Option<&Provider> = integration.provider.as_deref();
    let webhooks = provider.and_then(|provider| provider.webhooks.as_ref());
    if webhooks.is_none_or(registry::Webhooks::needs_own_address) {
        return Ok(None);
    }
    let name = super::environment_name(gateway, environment).await?;
    // No other character of a key needs an escape in a path.
    let key = integration.row.key.as_str().replace(' ', "%20");
    Ok(Some(format!("{WEBHOOK}/{name}/{key}")))
}
