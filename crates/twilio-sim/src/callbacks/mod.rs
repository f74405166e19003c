//! Turns what happens in the simulated accounts into webhooks.

mod calls;
mod conversations;
mod events;
mod inbound;
mod messages;

use std::sync::Arc;
use std::time::Duration;

pub use conversations::ConversationEvent;
pub(crate) use conversations::announce;
pub(crate) use events::send_test as send_sink_test;
pub(crate) use inbound::receive;
pub use inbound::{InboundMedia, InboundMessage};

use crate::numbers;
use crate::shared::Shared;
use crate::webhooks::{Callback, Payload, WebhookKind, WebhookMethod};

/// Sends webhooks until the runtime ends: each when it is due by the simulator's clock.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        pump(&shared);
        shared.sender.start_due();
        let now = shared.clock.millis();
        let due = [next_change(&shared), shared.sender.next_due()];
        let next = due
            .into_iter()
            .flatten()
            .min()
            .filter(|_| !shared.clock.is_frozen());
        match next.map(|at| u64::try_from(at.saturating_sub(now)).unwrap_or(0)) {
            Some(millis) => {
                // Waking early is harmless, and covers a clock that was moved.
                let rest = tokio::time::sleep(Duration::from_millis(millis.clamp(1, 60_000)));
                tokio::select! {
                    () = shared.sender.woken() => {}
                    () = rest => {}
                }
            }
            None => shared.sender.woken().await,
        }
    }
}

/// Hands the webhooks of all changes until now to the sender, in the order of the changes.
pub(crate) fn pump(shared: &Shared) {
    let known = &shared.credentials;
    for account in [&known.account_sid, &known.subaccount_sid] {
        let is_due = {
            let (store, now) = shared.read_of(account);
            store.next_change().is_some_and(|at| at <= now)
        };
        if is_due {
            // The store stays locked until the sender has all of them, so that no later change overtakes them.
            let (mut store, _) = shared.write_of(account);
            messages::report(shared, account, &store.take_changes());
        }
    }
    let mut calls = shared.calls();
    let changes = calls.take_changes(shared.clock.seconds());
    calls::report(shared, &changes);
}

/// Returns whether every webhook that is due was sent and answered.
pub(crate) fn is_idle(shared: &Shared) -> bool {
    next_change(shared).is_none_or(|at| at > shared.clock.millis()) && shared.sender.is_idle()
}

/// Watches all messages of an account while it has a subscription of events.
pub(crate) fn watch_for_subscriptions(shared: &Shared, account: &str) {
    let everything = shared.streams().has_subscription(account);
    let (mut store, now) = shared.write_of(account);
    store.watch_everything(everything, now);
    drop(store);
    shared.sender.wake();
}

/// Returns the status callback of a Messaging Service.
pub(crate) fn service_status_callback(shared: &Shared, account: &str, service: &str) -> Option<String> {
    let services = numbers::services(shared, account);
    let index = services.iter().position(|sid| sid == service)?;
    let resource = numbers::service(shared, "", account, index, service);
    numbers::text(&resource, "status_callback")
}

/// Sends a webhook that a test describes.
pub(crate) fn send_custom(shared: &Shared, webhook: CustomWebhook) {
    let account = webhook
        .account_sid
        .unwrap_or_else(|| shared.credentials.account_sid.clone());
    let payload = match webhook.json {
        Some(json) => Payload::Json(serde_json::to_vec(&json).unwrap_or_default()),
        None => Payload::Form(webhook.parameters),
    };
    let callback = Callback {
        kind: WebhookKind::Custom,
        account,
        ordered: !webhook.subject.is_empty(),
        subject: webhook.subject,
        state: webhook.state,
        url: webhook.url,
        method: webhook.method,
        payload,
        fallback: None,
        setting: None,
    };
    shared.sender.take(callback, &shared.faults().webhooks, None);
}

/// A webhook that a test describes: a form, or a JSON body.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CustomWebhook {
    /// Where to, with user info and connection overrides if any.
    pub url: String,
    /// For a form: in the body (POST) or in the query (GET).
    pub method: WebhookMethod,
    /// The form, in this order. Names may repeat.
    pub parameters: Vec<(String, String)>,
    /// A JSON body in place of the form.
    pub json: Option<serde_json::Value>,
    /// Signs with the auth token of this account; the main account when absent.
    pub account_sid: Option<String>,
    /// Webhooks with one subject are sent one after the other, those without a subject at once.
    pub subject: String,
    /// The status, for faults that affect only some.
    pub state: String,
}

/// Returns when the next status changes, in milliseconds of the simulator's clock.
fn next_change(shared: &Shared) -> Option<i64> {
    let known = &shared.credentials;
    let of = |account: &str| {
        let (store, _) = shared.read_of(account);
        store.next_change()
    };
    let calls = shared.calls().next_due();
    [of(&known.account_sid), of(&known.subaccount_sid), calls]
        .into_iter()
        .flatten()
        .map(|seconds| seconds.saturating_mul(1000))
        .min()
}
