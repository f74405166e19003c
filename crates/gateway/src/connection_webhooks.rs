//! The secrets of a connection's webhooks: the random part of its address, what its subscriptions keep, and what the provider brought.

use std::collections::HashMap;
use std::time::Duration;

use domain::{ConnectionId, EnvironmentId, RowId, StoredSubscription, SubscriptionStatus, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use signature::StoredSecret;
use store::webhook_secrets::{GIVEN_UP, WebhookSecret};
use upstream::Kept;
use vault::{Owner, SealContext};

use crate::encryption_keys::EncryptionKeys;
use crate::error::Result;

/// How long a provider may take to begin to sign with a new subscription's secret. Twilio takes up to a minute.
const SIGNING_DELAY: Duration = Duration::from_mins(5);

/// What a secret is. The words are stored and are part of what it is sealed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The random part of the connection's address.
    Address,
    /// What a subscription keeps: [`Sealed`] as JSON.
    Subscription,
    /// The secret that the provider brought when it tested the address.
    Challenge,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Address, Self::Subscription, Self::Challenge];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "webhook_address",
            Self::Subscription => "subscription",
            Self::Challenge => "challenge",
        }
    }

    /// Reads a stored word; `None` for one that this version does not know.
    fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The place that a secret of this kind is sealed for.
    pub(crate) const fn place(
        self,
        environment: EnvironmentId,
        connection: ConnectionId,
    ) -> SealContext<'static> {
        SealContext {
            environment,
            owner: Owner::Connection(connection),
            field: self.as_str(),
        }
    }
}

/// The place that a secret of a connection is sealed for; `None` for a kind that this version does not know.
pub(crate) fn place(secret: &WebhookSecret) -> Option<SealContext<'static>> {
    let kind = Kind::read(&secret.kind)?;
    Some(kind.place(secret.environment, secret.connection_id?))
}

/// What a subscription keeps, as it is sealed.
#[derive(Default, Serialize, Deserialize)]
struct Sealed {
    values: Map<String, Json>,
    secret: Option<String>,
    url: Option<String>,
}

/// The text that is sealed for a subscription.
pub(crate) fn kept_text(kept: &Kept) -> SecretString {
    let exposed = |secret: &SecretString| secret.expose_secret().to_owned();
    let sealed = Sealed {
        values: kept.values.clone(),
        secret: kept.secret.as_ref().map(exposed),
        url: kept.url.as_ref().map(exposed),
    };
    serde_json::to_string(&sealed).unwrap_or_default().into()
}

fn read_kept(text: &SecretString) -> Kept {
    // Written by this program; a later version may write more.
    let sealed: Sealed = serde_json::from_str(text.expose_secret()).unwrap_or_default();
    Kept {
        values: sealed.values,
        secret: sealed.secret.map(SecretString::from),
        url: sealed.url.map(SecretString::from),
        request_id: None,
    }
}

/// The subscriptions of a connection, and the open secrets of its webhooks. One whose key is lost is missing.
#[derive(Default)]
pub(crate) struct ConnectionSecrets {
    /// The random part of its address.
    pub(crate) address: Option<SecretString>,
    /// Its subscriptions, oldest first.
    pub(crate) subscriptions: Vec<StoredSubscription>,
    /// What they keep.
    kept: HashMap<RowId<StoredSubscription>, Kept>,
    /// The secret that the provider brought when it tested the address.
    pub(crate) challenge: Option<SecretString>,
    /// Whether a secret with which the provider may sign cannot be opened.
    pub(crate) lost: bool,
}

impl ConnectionSecrets {
    /// Opens sealed secrets, newest first. Of each kind but the subscriptions', the newest counts.
    pub(crate) async fn open(
        keys: &EncryptionKeys,
        rows: &[WebhookSecret],
        subscriptions: Vec<StoredSubscription>,
    ) -> Result<Self> {
        let mut opened = Self {
            subscriptions,
            ..Self::default()
        };
        for row in rows {
            let (Some(place), Some(kind)) = (place(row), Kind::read(&row.kind)) else {
                continue;
            };
            if row.sealed == GIVEN_UP {
                opened.lost |= kind != Kind::Address;
                continue;
            }
            let text = keys.unseal(&place, &row.sealed).await?;
            match kind {
                Kind::Address if opened.address.is_none() => opened.address = Some(text),
                Kind::Challenge if opened.challenge.is_none() => opened.challenge = Some(text),
                Kind::Address | Kind::Challenge => {}
                Kind::Subscription => {
                    if let Some(number) = row.subscription {
                        opened.kept.insert(number, read_kept(&text));
                    }
                }
            }
        }
        Ok(opened)
    }

    /// What a subscription keeps; `None` if it keeps nothing, or if that is lost.
    pub(crate) fn kept(&self, subscription: RowId<StoredSubscription>) -> Option<&Kept> {
        self.kept.get(&subscription)
    }

    /// The secrets with which the provider may sign, of the newest subscription first.
    pub(crate) fn signing(&self, now: Timestamp) -> Vec<StoredSecret> {
        let of_subscriptions = self.subscriptions.iter().rev().filter_map(|row| {
            let kept = self.kept(row.number)?;
            let key_id = kept.values.get("key_id").and_then(Json::as_str);
            Some(StoredSecret {
                secret: kept.secret.clone()?,
                key_id: key_id.map(str::to_owned),
                in_use: row.status == SubscriptionStatus::Active
                    && now.has_elapsed(SIGNING_DELAY, row.created_at),
            })
        });
        let brought = self.challenge.iter().map(|secret| StoredSecret {
            secret: secret.clone(),
            key_id: None,
            in_use: true,
        });
        of_subscriptions.chain(brought).collect()
    }
}
