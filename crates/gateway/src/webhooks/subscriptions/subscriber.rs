//! A connection that subscribes, and how its subscriptions are shown.

use std::sync::Arc;

use domain::{Connection, StoredSubscription};
use secrecy::SecretString;
use serde_json::{Map, Value as Json};
use upstream::{Kept, Target};
use url::Url;

use super::SubscriptionView;
use super::requests::{ProviderState, SubscriptionClient};
use crate::connection_webhooks::ConnectionSecrets;
use crate::error::Result;
use crate::gateway::Gateway;
use crate::webhooks::address::own_url;

/// A connection, with all that its subscriptions need.
pub(super) struct Subscriber {
    pub(super) connection: Connection,
    pub(super) target: Target,
    pub(super) secrets: ConnectionSecrets,
    /// The URL of the connection's address; `None` if no public URL is configured.
    url: Option<SecretString>,
}

impl Subscriber {
    pub(super) async fn open(gateway: &Gateway, connection: Connection) -> Result<Self> {
        let target = gateway.target(&connection).await?;
        let secrets = gateway.connection_secrets(&connection).await?;
        let url = own_url(gateway, &connection, &secrets).await?;
        Ok(Self {
            connection,
            target,
            secrets,
            url,
        })
    }

    /// Returns a client for the subscription's requests; `None` if the file no longer declares it.
    pub(super) fn client<'a>(
        &'a self,
        gateway: &'a Gateway,
        row: &'a StoredSubscription,
    ) -> Option<SubscriptionClient<'a>> {
        let webhooks = self.target.provider.webhooks.as_ref()?;
        let declared = webhooks.subscriptions.get(&row.name)?;
        let kept = self.secrets.kept(row.number);
        let mut target = self.target.clone();
        let variables = Arc::make_mut(&mut target.variables);
        variables.subscription = kept.cloned().unwrap_or_default();
        // What the provider was given, since the configuration may have changed.
        let url = &variables.subscription.url;
        variables.webhook_url = url.clone().or_else(|| self.url.clone());
        Some(SubscriptionClient {
            gateway,
            connection: &self.connection,
            declared,
            row,
            target,
            has_kept: kept.is_some(),
        })
    }

    pub(super) fn view(
        &self,
        row: StoredSubscription,
        provider_state: Option<ProviderState>,
    ) -> SubscriptionView {
        let kept = self.secrets.kept(row.number).cloned().unwrap_or_default();
        view(&self.target, row, &kept, provider_state)
    }
}

pub(super) fn view(
    target: &Target,
    row: StoredSubscription,
    kept: &Kept,
    provider_state: Option<ProviderState>,
) -> SubscriptionView {
    let webhooks = target.provider.webhooks.as_ref();
    let declared = webhooks.and_then(|webhooks| webhooks.subscriptions.get(&row.name));
    SubscriptionView {
        description: declared.map(|declared| declared.description.clone()),
        kept: shown(target, kept),
        provider_state,
        row,
    }
}

/// What a subscription keeps, without secrets.
pub(super) fn shown(target: &Target, kept: &Kept) -> Map<String, Json> {
    let mut target = target.clone();
    let variables = Arc::make_mut(&mut target.variables);
    variables.webhook_url.clone_from(&kept.url);
    variables.subscription.secret.clone_from(&kept.secret);
    let shown = |value: &Json| match value {
        Json::String(text) => Json::String(without_password(&target.without_secrets(text))),
        value => value.clone(),
    };
    kept.values
        .iter()
        .map(|(name, value)| (name.clone(), shown(value)))
        .collect()
}

/// Returns a text with the password masked if it is a URL that has one.
pub(super) fn without_password(text: &str) -> String {
    match Url::parse(text) {
        Ok(mut url) if url.password().is_some() => match url.set_password(Some("****")) {
            Ok(()) => url.into(),
            Err(()) => String::new(),
        },
        _ => text.to_owned(),
    }
}
