//! The addresses at which providers reach Trunkline.

use domain::{Connection, EnvironmentId, IntegrationKey};
use registry::{Provider, Webhooks};
use secrecy::{ExposeSecret, SecretString};
use store::webhook_secrets::{self, Inserted};
use vault::webhook_address;

use crate::connection_webhooks::{ConnectionSecrets, Kind};
use crate::error::{GatewayError, Result, refusable};
use crate::gateway::{Gateway, Names};

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
    /// The secret that the provider brought when it tested the address.
    pub challenge_secret: Option<SecretString>,
}

/// Returns the address of a connection, which is made when it is first asked for.
pub async fn own_address(gateway: &Gateway, names: Names<'_>) -> Result<OwnAddress> {
    let resolved = gateway.resolve(names).await?;
    let webhooks = webhooks_of(&resolved.integration.provider)?;
    let secrets = gateway.connection_secrets(&resolved.connection).await?;
    let address = address(gateway, &resolved.connection, &secrets).await?;
    Ok(OwnAddress {
        path: path(&address),
        setup: webhooks.setup.clone(),
        signed: !webhooks.signature.is_empty(),
        challenge_secret: secrets.challenge,
    })
}

/// Returns what the provider's file says of webhooks.
pub(super) fn webhooks_of(provider: &Provider) -> Result<&Webhooks> {
    provider.webhooks.as_ref().ok_or_else(|| {
        GatewayError::NotFound(format!(
            "{} has no webhooks here: its provider file does not describe any",
            provider.display_name
        ))
    })
}

fn path(address: &SecretString) -> SecretString {
    format!("{WEBHOOK}/{}", address.expose_secret()).into()
}

/// Returns the URL of a connection's own address; `None` if no public URL is configured. The address is made if there is none.
pub(crate) async fn own_url(
    gateway: &Gateway,
    connection: &Connection,
    secrets: &ConnectionSecrets,
) -> Result<Option<SecretString>> {
    let Some(public) = &gateway.public_url else {
        return Ok(None);
    };
    let path = path(&address(gateway, connection, secrets).await?);
    Ok(Some(format!("{public}{}", path.expose_secret()).into()))
}

/// Returns the random part of the connection's address. One that was given up is replaced by a new one; the lost address stays valid.
async fn address(
    gateway: &Gateway,
    connection: &Connection,
    secrets: &ConnectionSecrets,
) -> Result<SecretString> {
    if let Some(address) = &secrets.address {
        return Ok(address.clone());
    }
    let address = webhook_address::generate();
    let hash = webhook_address::hash(address.expose_secret());
    if keep(gateway, connection, Kind::Address, &address, Some(hash)).await? {
        return Ok(address);
    }
    // Another request was faster.
    let secrets = gateway.connection_secrets(connection).await?;
    secrets.address.ok_or(GatewayError::ChangedMeanwhile)
}

/// Seals and stores a secret of a connection. Returns false if it has one of this kind.
pub(super) async fn keep(
    gateway: &Gateway,
    connection: &Connection,
    kind: Kind,
    secret: &SecretString,
    hash: Option<String>,
) -> Result<bool> {
    let (whose, secret) = ((connection.environment, connection.id), secret.clone());
    let (sealer, now) = (gateway.keys.sealer().await, gateway.clock.now());
    let gone = GatewayError::unknown_connection(connection.name.as_str(), connection.integration.as_str());
    let kept = gateway.store.write_durably(refusable(move |c| {
        let (text, key_id) = sealer.seal(c, &kind.place(whose.0, whose.1), &secret, now)?;
        let sealed = (text.as_str(), key_id.as_str());
        let inserted =
            webhook_secrets::insert_of_connection(c, whose, kind.as_str(), sealed, hash.as_deref(), now)?;
        Ok(match inserted {
            Inserted::Done => Ok(true),
            Inserted::Exists => Ok(false),
            Inserted::ConnectionDeleted => Err(gone),
        })
    }));
    kept.await??
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
    key: &IntegrationKey,
    provider: Option<&Provider>,
) -> Result<Option<String>> {
    let webhooks = provider.and_then(|provider| provider.webhooks.as_ref());
    if webhooks.is_none_or(Webhooks::needs_own_address) {
        return Ok(None);
    }
    let name = super::environment_name(gateway, environment).await?;
    // No other character of a key needs an escape in a path.
    let key = key.as_str().replace(' ', "%20");
    Ok(Some(format!("{WEBHOOK}/{name}/{key}")))
}
