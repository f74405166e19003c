//! The sealed secrets of webhooks: the keys that sign for an endpoint, its own headers, and the signing key of an environment.

use std::collections::BTreeMap;

use domain::{Endpoint, EnvironmentId, RowId, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use signature::standard::SigningKey;
use store::webhook_secrets::{self, GIVEN_UP, WebhookSecret};
use store::{DbConn, StoreError};
use vault::{Owner, SealContext, VaultError};

use crate::connection_webhooks;
use crate::encryption_keys::Sealer;
use crate::error::Result;
use crate::gateway::Gateway;

/// What a secret is. The words are stored and are part of what it is sealed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretKind {
    /// A shared secret, `whsec_…`.
    Shared,
    /// An ed25519 private key, `whsk_…`.
    Private,
    /// The endpoint's own headers: a JSON object.
    Headers,
    /// The environment's signing key for the two headers of Nango.
    Environment,
}

impl SecretKind {
    const ALL: [Self; 4] = [Self::Shared, Self::Private, Self::Headers, Self::Environment];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Private => "private",
            Self::Headers => "headers",
            Self::Environment => "signing_key",
        }
    }
}

/// An endpoint, as it is shown.
#[derive(Debug)]
pub struct EndpointView {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The public key of its ed25519 key, `whpk_…`.
    pub public_key: Option<String>,
}

/// An endpoint and its secret, which is shown when it is made or replaced.
#[derive(Debug)]
pub struct EndpointSecrets {
    /// The endpoint.
    pub view: EndpointView,
    /// The secret that signs from now on, `whsec_…`.
    pub secret: SecretString,
}

/// The place that a secret is sealed for; `None` for a kind that this version does not know.
pub(crate) fn place(secret: &WebhookSecret) -> Option<SealContext<'static>> {
    if secret.connection_id.is_some() {
        return connection_webhooks::place(secret);
    }
    let kind = SecretKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == secret.kind)?;
    Some(place_of(secret.environment, secret.endpoint, kind))
}

fn place_of(
    environment: EnvironmentId,
    endpoint: Option<RowId<Endpoint>>,
    kind: SecretKind,
) -> SealContext<'static> {
    SealContext {
        environment,
        owner: endpoint.map_or(Owner::Environment, Owner::Endpoint),
        field: kind.as_str(),
    }
}

impl Sealer {
    /// Stores a secret of an endpoint or, without one, of the environment. The current one of its kind is used until `overlap_ends`.
    pub(super) fn store_webhook_secret(
        &self,
        c: &mut DbConn,
        (environment, endpoint, kind): (EnvironmentId, Option<RowId<Endpoint>>, SecretKind),
        secret: &SecretString,
        overlap_ends: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        webhook_secrets::expire(c, environment, endpoint, kind.as_str(), overlap_ends, now)?;
        let place = place_of(environment, endpoint, kind);
        let (sealed, key_id) = self.seal(c, &place, secret, now)?;
        webhook_secrets::insert(c, environment, endpoint, kind.as_str(), (&sealed, &key_id), now)
    }
}

/// The open secrets of an endpoint.
pub(super) struct OpenSecrets {
    /// The keys that sign, newest first, each with the time until which it signs.
    pub(super) keys: Vec<(SigningKey, Option<Timestamp>)>,
    /// The environment's signing keys, newest first.
    pub(super) environment_keys: Vec<(SecretString, Option<Timestamp>)>,
    /// The endpoint's own headers.
    pub(super) headers: BTreeMap<String, SecretString>,
    /// Whether the endpoint has an ed25519 key, even a lost one.
    pub(super) has_private: bool,
    /// Whether a current secret is lost with the encryption key that sealed it.
    pub(super) lost: bool,
}

impl OpenSecrets {
    /// Opens what is stored for the endpoint.
    pub(super) async fn read(gateway: &Gateway, endpoint: &Endpoint) -> Result<Self> {
        let (environment, number, now) = (endpoint.environment, endpoint.number, gateway.clock.now());
        let read = gateway
            .store
            .read(move |c| webhook_secrets::of_endpoint(c, environment, number, now));
        let mut open = Self {
            keys: Vec::new(),
            environment_keys: Vec::new(),
            headers: BTreeMap::new(),
            has_private: false,
            lost: false,
        };
        for stored in read.await? {
            let Some(place) = place(&stored) else { continue };
            open.has_private |= stored.kind == SecretKind::Private.as_str() && stored.expires_at.is_none();
            if stored.sealed == GIVEN_UP {
                open.lost |= stored.expires_at.is_none();
                continue;
            }
            let text = gateway.keys.unseal(&place, &stored.sealed).await?;
            open.add(&stored, text)?;
        }
        Ok(open)
    }

    fn add(&mut self, stored: &WebhookSecret, text: SecretString) -> Result<()> {
        if stored.kind == SecretKind::Environment.as_str() {
            self.environment_keys.push((text, stored.expires_at));
        } else if stored.kind == SecretKind::Headers.as_str() {
            let headers: BTreeMap<String, String> =
                serde_json::from_str(text.expose_secret()).map_err(|_| VaultError::Malformed)?;
            let headers = headers.into_iter();
            self.headers = headers.map(|(name, value)| (name, value.into())).collect();
        } else {
            let key = SigningKey::parse(&text).map_err(|_| VaultError::Malformed)?;
            self.keys.push((key, stored.expires_at));
        }
        Ok(())
    }

    /// The public key of the current ed25519 key.
    pub(super) fn public_key(&self) -> Option<String> {
        let mut current = self.keys.iter().filter(|(_, expires_at)| expires_at.is_none());
        current.find_map(|(key, _)| key.public_key())
    }
}

/// The endpoint's own headers as they are sealed.
pub(super) fn headers_text(headers: &BTreeMap<String, String>) -> SecretString {
    serde_json::to_string(headers).unwrap_or_default().into()
}
