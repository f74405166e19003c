//! The requests of a subscription.

use std::sync::Arc;
use std::time::Duration;

use domain::{Connection, StoredSubscription, SubscriptionId, SubscriptionStatus};
use registry::ActionRequest;
use registry::webhooks::{KeptPath, Step, Subscription};
use secrecy::SecretString;
use serde_json::Value as Json;
use store::{subscriptions, webhook_secrets};
use upstream::{Kept, Response, Target};
use vault::webhook_address;

use super::{Leased, described, finish, retry_at, shown, without_password};
use crate::connection_webhooks::{Kind, kept_text};
use crate::error::{ActionFailure, AttemptError, GatewayError, Result, request_failed};
use crate::gateway::Gateway;

/// The part of the first request that ends a subscription; those that create it come before.
const FIRST_END: u8 = 128;
/// The most bytes of what a subscription keeps, as JSON.
const MOST_KEPT: usize = 64 << 10;
const OUTCOME_UNKNOWN: &str = "the outcome of the first request is unknown: remove the subscription at the provider if it is there, then end it here with forget=true";
/// The name under which the secret is kept.
const SECRET: &str = "secret";

/// The state of a subscription at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderState {
    /// As Trunkline set it.
    AsSet,
    /// Changed at the provider.
    Changed(Vec<Difference>),
    /// The provider no longer has it.
    Missing,
    /// It could not be determined, with the reason.
    Unknown(String),
}

/// A value that was changed at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its path in the provider's response.
    pub path: String,
    /// The value that Trunkline set; the secret of the address is masked.
    pub expected: String,
    /// The value that is there; `None` if there is none.
    pub actual: Option<String>,
}

/// How a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The provider was asked to end it.
    Asked,
    /// There was nothing to ask for.
    Nothing,
    /// The value was changed or removed at the provider, so nothing was sent.
    Superseded,
}

/// A failed request, and whether the provider does not know what it is about.
pub(super) struct Failed {
    pub(super) error: AttemptError,
    pub(super) not_found: bool,
}

/// Sends the requests of one subscription.
pub(super) struct SubscriptionClient<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) connection: &'a Connection,
    pub(super) declared: &'a Subscription,
    pub(super) row: &'a StoredSubscription,
    pub(super) target: Target,
    /// Whether kept values are stored. False for a new subscription, or if their encryption key is lost.
    pub(super) has_kept: bool,
}

impl SubscriptionClient<'_> {
    /// Sends a request. `part` is its own among the requests of the subscription that must not be carried out twice.
    async fn send(
        &self,
        request: &ActionRequest,
        part: Option<u8>,
        repeatable: bool,
        output_expected: bool,
    ) -> Result<Response, Failed> {
        let mut target = self.target.clone();
        let request_id = match part {
            Some(part) => self.row.id.uuid_of_part(part),
            None => SubscriptionId::new(self.gateway.clock.now()).uuid_of_part(0),
        };
        Arc::make_mut(&mut target.variables).subscription.request_id = Some(request_id);
        let sent = match target.request_of(request, repeatable, &self.row.input) {
            Ok(made) => {
                let upstream = &self.gateway.upstream;
                upstream.send_action(&target, made, output_expected).await
            }
            Err(error) => Err(error.into()),
        };
        sent.map_err(|failed| Failed {
            not_found: failed.error.provider().is_some_and(|told| told.not_found),
            error: request_failed(&target.provider, repeatable, failed),
        })
    }

    fn kept(&self) -> &Kept {
        &self.target.variables.subscription
    }

    /// What is kept, to add to it. It fills the placeholders of the next requests.
    fn kept_mut(&mut self) -> &mut Kept {
        &mut Arc::make_mut(&mut self.target.variables).subscription
    }

    /// Stores what is kept, and how many requests are done. An error if the lease is lost.
    async fn store(&self, lease: &Leased, steps: usize) -> Result<()> {
        let sealer = self.gateway.keys.sealer().await;
        let whose = (self.connection.environment, self.connection.id);
        let (text, lease, now) = (kept_text(self.kept()), lease.clone(), self.gateway.clock.now());
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        let stored = self.gateway.store.write_durably(move |c| {
            if !subscriptions::progress(c, &lease, SubscriptionStatus::Creating, steps)? {
                return Ok(false);
            }
            let kind = Kind::Subscription;
            let (sealed, key_id) = sealer.seal(c, &kind.place(whose.0, whose.1), &text, now)?;
            let sealed = (sealed.as_str(), key_id.as_str());
            webhook_secrets::set_of_subscription(c, whose, lease.id, kind.as_str(), sealed, now)?;
            Ok(true)
        });
        let stored = stored.await?;
        self.gateway.caches.forget_secrets();
        if stored {
            Ok(())
        } else {
            Err(GatewayError::SubscriptionBusy)
        }
    }

    /// Sends the requests that are not done yet, and returns what is kept in the end.
    ///
    /// If one is refused, what the earlier ones made is removed. If it is not known whether one was carried out, the subscription stays,
    /// failed.
    pub(super) async fn create(mut self, lease: &Leased) -> Result<Kept> {
        let all = self.declared.create.len();
        let mut done = usize::try_from(self.row.steps).unwrap_or_default();
        if self.has_kept && self.declared.replaces && done < all {
            match self.show().await {
                // The request whose outcome was not known was carried out.
                ProviderState::AsSet => done = all,
                // What is there now may be newer than what was kept.
                ProviderState::Changed(_) | ProviderState::Missing => {
                    *self.kept_mut() = Kept::default();
                    done = 0;
                }
                ProviderState::Unknown(reason) => {
                    let error = unknown_state(&reason);
                    self.fail(lease, &error).await?;
                    return Err(error.into());
                }
            }
        }
        if self.kept().url.is_none() {
            let url = self.target.variables.webhook_url.clone();
            self.kept_mut().url = url;
        }
        if self.declared.generate_secret && self.kept().secret.is_none() {
            self.kept_mut().secret = Some(webhook_address::generate());
        }
        self.store(lease, done).await?;
        for (index, step) in self.declared.create.iter().enumerate().skip(done) {
            if let Err(error) = self.step(step, index).await {
                // A refusal says nothing about an earlier attempt of unknown outcome.
                let again = self.has_kept && index == done;
                self.handle_failure(lease, index, &error, again).await?;
                return Err(error.into());
            }
            if self.declared.replaces && self.kept_own_address() {
                super::delete(self.gateway, lease).await?;
                let message = "the provider already sends these events to Trunkline: end that subscription first, or remove the address at the provider";
                return Err(impossible(message.to_owned()).into());
            }
            if let Err(error) = self.store(lease, index + 1).await {
                self.undo_if_connection_deleted().await?;
                return Err(error);
            }
        }
        let renewal = self.declared.renew.as_ref();
        let due = renewal.map(|renewal| self.gateway.clock.now().plus(renewal.every));
        finish(self.gateway, lease, SubscriptionStatus::Active, 0, None, due).await?;
        self.gateway.caches.forget_secrets();
        Ok(self.kept().clone())
    }

    /// Whether the value that would be replaced is an address of Trunkline, of which nothing could be restored.
    fn kept_own_address(&self) -> bool {
        let Some(public) = &self.gateway.public_url else {
            return false;
        };
        let own = format!("{public}/webhook/");
        let mut values = self.kept().values.values();
        values.any(|value| value.as_str().is_some_and(|text| text.starts_with(&own)))
    }

    /// Sends a request and keeps what it brings.
    async fn step(&mut self, step: &Step, index: usize) -> Result<(), AttemptError> {
        let request = &step.request;
        let part = u8::try_from(index).ok();
        let sent = self.send(request, part, is_repeatable(request), !step.keep.is_empty());
        let response = sent.await.map_err(|failed| failed.error)?;
        let body = response.json().unwrap_or_default();
        let kept = self.kept_mut();
        for (name, path) in &step.keep {
            match kept_value(&body, path) {
                Some(Json::String(text)) if name == SECRET => kept.secret = Some(SecretString::from(text)),
                Some(value) if name != SECRET => drop(kept.values.insert(name.clone(), value)),
                _ => {
                    let path = path.0.join(".");
                    return Err(carried_out(&format!(
                        "has no usable {path}, which the subscription keeps"
                    )));
                }
            }
        }
        if serde_json::to_string(&kept.values).map_or(usize::MAX, |text| text.len()) > MOST_KEPT {
            return Err(carried_out(&format!("has more than {MOST_KEPT} bytes to keep")));
        }
        Ok(())
    }

    /// Stores that the request at `index` failed. If it is certain that it did nothing, what the earlier ones made is removed. `again` says
    /// whether an earlier attempt of it had an unknown outcome.
    async fn handle_failure(
        &self,
        lease: &Leased,
        index: usize,
        error: &AttemptError,
        again: bool,
    ) -> Result<()> {
        let nothing_done = match error {
            AttemptError::Request { nothing_done, .. } => *nothing_done,
            AttemptError::Other(_) => false,
        };
        if !nothing_done || again {
            return self.fail(lease, error).await;
        }
        // Nothing was made before the first request.
        if index == 0 {
            return super::delete(self.gateway, lease).await;
        }
        // If this process dies, the worker removes it.
        let (leased, steps) = (lease.clone(), i64::try_from(index).unwrap_or(i64::MAX));
        let store = &self.gateway.store;
        let ending = store
            .write_durably(move |c| subscriptions::progress(c, &leased, SubscriptionStatus::Ending, steps));
        ending.await?;
        match self.undo().await {
            Ok(_) => super::delete(self.gateway, lease).await,
            Err(undo) => {
                let message = described(&undo).0;
                let due = retry_at(self.gateway, 1, Duration::ZERO);
                let status = SubscriptionStatus::Ending;
                finish(self.gateway, lease, status, 1, Some(message), Some(due)).await
            }
        }
    }

    async fn fail(&self, lease: &Leased, error: &AttemptError) -> Result<()> {
        let message = Some(described(error).0);
        finish(self.gateway, lease, SubscriptionStatus::Failed, 0, message, None).await
    }

    /// Removes what was made if the connection was deleted meanwhile: nothing else knows of it any more.
    async fn undo_if_connection_deleted(&self) -> Result<()> {
        let number = self.row.number;
        let read = self.gateway.store.read(move |c| subscriptions::exists(c, number));
        if !read.await?
            && let Err(error) = self.undo().await
        {
            tracing::warn!(
                connection = %self.connection.name,
                subscription = self.row.name,
                kept = %Json::Object(shown(&self.target, self.kept())),
                error = described(&error).0,
                "the connection was deleted while it was being subscribed, and the provider may still have the subscription: end it there"
            );
        }
        Ok(())
    }

    /// Removes what a part of the requests has made.
    async fn undo(&self) -> Result<Ended, AttemptError> {
        if self.declared.replaces {
            match self.show().await {
                ProviderState::Changed(_) | ProviderState::Missing => return Ok(Ended::Superseded),
                ProviderState::AsSet => {}
                // Do not overwrite a newer value.
                ProviderState::Unknown(reason) => return Err(unknown_state(&reason)),
            }
        }
        match self.send_ends().await? {
            0 => Ok(Ended::Nothing),
            _ => Ok(Ended::Asked),
        }
    }

    /// Ends the subscription at the provider.
    pub(super) async fn end(&self) -> Result<Ended, AttemptError> {
        if self.declared.end.is_empty() {
            return Ok(Ended::Nothing);
        }
        if !self.has_kept {
            let message = if self.row.steps > 0 {
                "the kept values cannot be decrypted because their encryption key is lost: end the subscription at the provider, then here with forget=true"
            } else {
                OUTCOME_UNKNOWN
            };
            return Err(impossible(message.to_owned()));
        }
        let ended = self.undo().await?;
        if ended == Ended::Nothing {
            return Err(impossible(OUTCOME_UNKNOWN.to_owned()));
        }
        Ok(ended)
    }

    /// Sends the requests that end it, and returns how many those were. One that needs what was never kept has nothing to end.
    async fn send_ends(&self) -> Result<usize, AttemptError> {
        let mut sent = 0;
        for (index, step) in self.declared.end.iter().enumerate() {
            let request = &step.request;
            if !self.is_filled(request) {
                continue;
            }
            sent += 1;
            let part = u8::try_from(index)
                .ok()
                .and_then(|index| index.checked_add(FIRST_END));
            match self.send(request, part, true, false).await {
                Ok(_) => {}
                // It has ended already.
                Err(failed) if failed.not_found => {}
                Err(failed) => return Err(failed.error),
            }
        }
        Ok(sent)
    }

    /// Whether everything is known that the request takes from earlier responses, and the address if it has that.
    fn is_filled(&self, request: &ActionRequest) -> bool {
        let mut names = request.placeholders().into_iter();
        names.all(|name| match name.split_once('.') {
            Some(("subscription", "request_id")) => true,
            Some(("subscription", SECRET)) => self.kept().secret.is_some(),
            Some(("subscription", name)) => self.kept().values.contains_key(name),
            Some(("webhook", _)) => self.target.variables.webhook_url.is_some(),
            _ => true,
        })
    }

    /// Asks the provider what it holds.
    pub(super) async fn show(&self) -> ProviderState {
        let Some(show) = &self.declared.show else {
            return ProviderState::Unknown("the provider file has no `show`".to_owned());
        };
        let response = match self.send(&show.request, None, true, true).await {
            Ok(response) => response,
            Err(failed) if failed.not_found => return ProviderState::Missing,
            Err(failed) => return ProviderState::Unknown(described(&failed.error).0),
        };
        if show.expect.is_empty() {
            return ProviderState::Unknown("the provider file has no `show.expect`".to_owned());
        }
        let body = response.json().unwrap_or_default();
        let mut differences = Vec::new();
        for (path, expected) in &show.expect {
            let steps: Vec<String> = path.split('.').map(str::to_owned).collect();
            let actual = upstream::json_at(&body, &steps).and_then(text);
            let set = match self.target.action_text(expected, &self.row.input) {
                Ok(set) => set,
                Err(error) => return ProviderState::Unknown(error.to_string()),
            };
            if actual.as_deref().unwrap_or_default() != set {
                let shown = |text: String| without_password(&self.target.without_secrets(&text));
                differences.push(Difference {
                    path: path.clone(),
                    expected: shown(set),
                    actual: actual.map(shown),
                });
            }
        }
        if differences.is_empty() {
            ProviderState::AsSet
        } else {
            ProviderState::Changed(differences)
        }
    }

    /// Sends the request that keeps the subscription from expiring.
    pub(super) async fn renew(&self, request: &ActionRequest) -> Result<(), Failed> {
        self.send(request, None, true, false).await.map(drop)
    }
}

/// Whether sending a request twice has the same effect as once.
fn is_repeatable(request: &ActionRequest) -> bool {
    !matches!(request.method, registry::Method::Post | registry::Method::Patch)
}

/// Returns the value to keep: a text, a number, a boolean or a list. What is null is an empty text, so that it can be restored.
fn kept_value(body: &Json, path: &KeptPath) -> Option<Json> {
    match upstream::json_at(body, &path.0)? {
        Json::Null => Some(Json::String(String::new())),
        Json::Object(_) => None,
        value => Some(value.clone()),
    }
}

fn unknown_state(reason: &str) -> AttemptError {
    impossible(format!(
        "cannot determine whether the value at the provider was changed: {reason}"
    ))
}

/// The failure of a request that was carried out, with a response that is of no use.
fn carried_out(problem: &str) -> AttemptError {
    impossible(format!(
        "the provider carried out the request, but its response {problem}: check at the provider what was created"
    ))
}

fn impossible(message: String) -> AttemptError {
    AttemptError::Other(GatewayError::Action(Box::new(ActionFailure::impossible(message))))
}

fn text(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        value => Some(value.to_string()),
    }
}
