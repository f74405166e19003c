//! The two webhook addresses of an environment in Nango's API, its five switches, and the signing key.
//!
//! Each address is an endpoint with the format `nango` and a slot; the switches are the types of events that both get.

use domain::{Endpoint, EndpointSettings, EndpointSlot, EnvironmentId, EventType, Timestamp, WebhookFormat};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use signature::{nango, standard};
use store::webhook_secrets::{self, GIVEN_UP};
use store::{DbConn, StoreError, endpoints, environments};
use utoipa::ToSchema;

use super::secrets::{SecretKind, place};
use super::settings::{EndpointBody, check_url};
use crate::caller::Caller;
use crate::encryption_keys::Sealer;
use crate::error::{FieldError, GatewayError, Result};
use crate::gateway::Gateway;

/// The webhook settings of an environment, as Nango has them.
#[expect(clippy::struct_excessive_bools, reason = "Nango's API has these switches")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EnvironmentWebhooks)]
pub struct NangoWebhooks {
    /// Where webhooks are sent; null for nowhere.
    #[schema(example = "https://app.acme.example/hooks/nango")]
    pub primary_url: Option<String>,
    /// A second address for the same webhooks.
    #[serde(default)]
    pub secondary_url: Option<String>,
    /// Send a webhook when a connection is created, or gets new credentials.
    #[serde(default = "yes")]
    pub on_auth_creation: bool,
    /// Send a webhook when a provider refuses the credentials of a connection.
    #[serde(default = "yes")]
    pub on_auth_refresh_error: bool,
    /// Send a webhook when a sync fails.
    #[serde(default = "yes")]
    pub on_sync_error: bool,
    /// Send a webhook for each run of a sync that succeeds; otherwise only for those that changed something.
    #[serde(default)]
    pub on_sync_completion_always: bool,
    /// Send a webhook when an asynchronous action ends.
    #[serde(default = "yes")]
    pub on_async_action_completion: bool,
}

const fn yes() -> bool {
    true
}

impl Default for NangoWebhooks {
    fn default() -> Self {
        Self {
            primary_url: None,
            secondary_url: None,
            on_auth_creation: true,
            on_auth_refresh_error: true,
            on_sync_error: true,
            on_sync_completion_always: false,
            on_async_action_completion: true,
        }
    }
}

impl NangoWebhooks {
    fn of(endpoints: &[Endpoint]) -> Self {
        let at = |slot| endpoints.iter().find(|endpoint| endpoint.slot == Some(slot));
        let primary = at(EndpointSlot::Primary);
        let secondary = at(EndpointSlot::Secondary);
        let Some(either) = primary.or(secondary) else {
            return Self::default();
        };
        let gets = |event_type: EventType| {
            let events = &either.settings.events;
            events
                .iter()
                .any(|pattern| domain::matches_type(pattern, event_type))
        };
        let url = |endpoint: Option<&Endpoint>| endpoint.and_then(|endpoint| endpoint.settings.url.clone());
        Self {
            primary_url: url(primary),
            secondary_url: url(secondary),
            on_auth_creation: gets(EventType::ConnectionCreated),
            on_auth_refresh_error: gets(EventType::ConnectionError),
            on_sync_error: gets(EventType::SyncFailed),
            on_sync_completion_always: either.settings.unchanged_runs,
            on_async_action_completion: gets(EventType::ActionSucceeded),
        }
    }

    /// The settings of an endpoint of these webhooks, over those that it has.
    fn settings(&self, url: Option<String>, old: EndpointSettings) -> EndpointSettings {
        use EventType as T;
        let switched: [(bool, &[EventType]); 5] = [
            (
                self.on_auth_creation,
                &[T::ConnectionCreated, T::ConnectionUpdated],
            ),
            (self.on_auth_refresh_error, &[T::ConnectionError]),
            (self.on_sync_error, &[T::SyncFailed]),
            (
                self.on_async_action_completion,
                &[T::ActionSucceeded, T::ActionFailed],
            ),
            // Nango has no switch for these.
            (true, &[T::SyncSucceeded, T::ProviderEvent]),
        ];
        let events = switched.into_iter().filter(|(on, _)| *on);
        let events = events.flat_map(|(_, types)| types.iter().map(|wanted| wanted.as_str().to_owned()));
        EndpointSettings {
            url,
            format: WebhookFormat::Nango,
            events: events.collect(),
            unchanged_runs: self.on_sync_completion_always,
            ..old
        }
    }
}

/// Returns the environment's webhook settings and its signing key, which is made if there is none.
pub async fn nango_webhooks(gateway: &Gateway, caller: &Caller) -> Result<(NangoWebhooks, SecretString)> {
    let environment = caller.environment;
    let rows = gateway.store.read(move |c| endpoints::list(c, environment));
    Ok((
        NangoWebhooks::of(&rows.await?),
        signing_key(gateway, environment).await?,
    ))
}

/// Sets the environment's webhook settings.
pub async fn set_nango_webhooks(gateway: &Gateway, caller: &Caller, new: &NangoWebhooks) -> Result<()> {
    let mut errors = Vec::new();
    for (field, url) in [
        ("primary_url", &new.primary_url),
        ("secondary_url", &new.secondary_url),
    ] {
        if let Some(Err(rule)) = url.as_ref().map(|url| check_url(gateway, url)) {
            errors.push(FieldError::at("invalid", field, rule));
        }
    }
    GatewayError::check_body(errors)?;
    let (environment, now, new) = (caller.environment, gateway.clock.now(), new.clone());
    let sealer = gateway.keys.sealer().await;
    let stored = gateway.store.write_durably(move |c| {
        environments::lock_webhooks(c, environment)?;
        let rows = endpoints::list(c, environment)?;
        for (slot, url) in [
            (EndpointSlot::Primary, &new.primary_url),
            (EndpointSlot::Secondary, &new.secondary_url),
        ] {
            let existing = rows.iter().find(|row| row.slot == Some(slot));
            let old = existing.map_or_else(EndpointBody::defaults, |row| row.settings.clone());
            let settings = new.settings(url.clone(), old);
            match existing {
                Some(row) => endpoints::change(c, row.number, &settings, now)?,
                // Without a URL, the first one holds the switches.
                None if url.is_some() || slot == EndpointSlot::Primary => {
                    insert_slot(c, &sealer, environment, (slot, &settings), now)?;
                }
                None => {}
            }
        }
        Ok(())
    });
    stored.await?;
    gateway.delivery_due.send_replace(());
    Ok(())
}

fn insert_slot(
    c: &mut DbConn,
    sealer: &Sealer,
    environment: EnvironmentId,
    (slot, settings): (EndpointSlot, &EndpointSettings),
    now: Timestamp,
) -> Result<(), StoreError> {
    let endpoint = endpoints::insert(c, environment, Some(slot), settings, now)?;
    let place = (environment, Some(endpoint.number), SecretKind::Shared);
    sealer.store_webhook_secret(c, place, &standard::generate_secret(), now, now)?;
    ensure_signing_key(c, sealer, environment, now)
}

/// Makes sure that events of connections with a URL of their own are sent, even if the environment has no address.
pub(crate) fn ensure_override_endpoint(
    c: &mut DbConn,
    sealer: &Sealer,
    environment: EnvironmentId,
    now: Timestamp,
) -> Result<(), StoreError> {
    environments::lock_webhooks(c, environment)?;
    let rows = endpoints::list(c, environment)?;
    let slot = EndpointSlot::Primary;
    if rows.iter().any(|row| row.slot == Some(slot)) {
        return Ok(());
    }
    let settings = NangoWebhooks::of(&rows).settings(None, EndpointBody::defaults());
    insert_slot(c, sealer, environment, (slot, &settings), now)
}

/// Makes the environment's signing key unless it has one.
pub(super) fn ensure_signing_key(
    c: &mut DbConn,
    sealer: &Sealer,
    environment: EnvironmentId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let kind = SecretKind::Environment;
    environments::lock_webhooks(c, environment)?;
    let usable = |secret: &webhook_secrets::WebhookSecret| secret.sealed != GIVEN_UP;
    let known = webhook_secrets::of_environment(c, environment, kind.as_str(), now)?;
    if known.iter().any(usable) {
        return Ok(());
    }
    let place = (environment, None, kind);
    sealer.store_webhook_secret(c, place, &nango::generate_key(), now, now)
}

async fn signing_key(gateway: &Gateway, environment: EnvironmentId) -> Result<SecretString> {
    let now = gateway.clock.now();
    let sealer = gateway.keys.sealer().await;
    let read = move |c: &mut DbConn| {
        webhook_secrets::of_environment(c, environment, SecretKind::Environment.as_str(), now)
    };
    let mut found = gateway.store.read(read).await?;
    if found.first().is_none_or(|secret| secret.sealed == GIVEN_UP) {
        let made = gateway.store.write_durably(move |c| {
            ensure_signing_key(c, &sealer, environment, now)?;
            read(c)
        });
        found = made.await?;
    }
    let stored = found.into_iter().next();
    let stored =
        stored.ok_or_else(|| GatewayError::NotFound("the environment has no signing key".to_owned()))?;
    let place = place(&stored)
        .ok_or_else(|| GatewayError::NotFound("the environment has no signing key".to_owned()))?;
    Ok(gateway.keys.unseal(&place, &stored.sealed).await?)
}

/// Replaces the environment's signing key at once, and returns the new one: Nango's headers have room for one signature.
pub async fn rotate_signing_key(gateway: &Gateway, caller: &Caller) -> Result<SecretString> {
    let (environment, now, key) = (caller.environment, gateway.clock.now(), nango::generate_key());
    let (sealer, new) = (gateway.keys.sealer().await, key.clone());
    let rotated = gateway.store.write_durably(move |c| {
        environments::lock_webhooks(c, environment)?;
        let place = (environment, None, SecretKind::Environment);
        sealer.store_webhook_secret(c, place, &new, now, now)?;
        // The holders of the endpoints read the secrets again.
        for row in endpoints::list(c, environment)? {
            endpoints::touch(c, row.number, now)?;
        }
        Ok(())
    });
    rotated.await?;
    Ok(key)
}
