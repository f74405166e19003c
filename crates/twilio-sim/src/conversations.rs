//! Conversations: the account's services and their webhook configuration.

use serde_json::{Value, json};

use crate::dates::{DAY, iso8601};
use crate::shared::Shared;
use crate::sid::fixed;

/// Returns the SIDs of the services.
pub(crate) fn services(shared: &Shared, account: &str) -> [String; 2] {
    let (store, _) = shared.read_of(account);
    [0, 1].map(|index| fixed("IS", store.planner.seed, 500 + index))
}

/// Returns a service as JSON of the API, with links below `origin`.
pub(crate) fn service(shared: &Shared, origin: &str, account: &str, index: usize, sid: &str) -> Value {
    let created = iso8601(shared.clock.seconds() - 300 * DAY);
    let url = format!("{origin}/v1/Services/{sid}");
    let link = |name: &str| format!("{url}/{name}");
    json!({
        "sid": sid,
        "account_sid": account,
        "friendly_name": format!("Simulated conversations {}", index + 1),
        "date_created": created,
        "date_updated": created,
        "url": url,
        "links": {
            "conversations": link("Conversations"),
            "users": link("Users"),
            "roles": link("Roles"),
            "bindings": link("Bindings"),
            "configuration": link("Configuration"),
            "participant_conversations": link("ParticipantConversations"),
            "conversation_with_participants": link("ConversationWithParticipants"),
        },
    })
}

/// Returns the webhook configuration of a service.
pub(crate) fn service_webhooks(shared: &Shared, origin: &str, account: &str, sid: &str) -> Value {
    let mut resource = json!({
        "account_sid": account,
        "chat_service_sid": sid,
        "pre_webhook_url": null,
        "post_webhook_url": null,
        "filters": [],
        "method": "POST",
        "url": format!("{origin}/v1/Services/{sid}/Configuration/Webhooks"),
    });
    shared.settings.apply(&webhooks_key(sid), &mut resource);
    resource
}

/// Returns the webhook configuration of the account.
pub(crate) fn account_webhooks(shared: &Shared, origin: &str, account: &str) -> Value {
    let mut resource = json!({
        "account_sid": account,
        "pre_webhook_url": null,
        "post_webhook_url": null,
        "method": "POST",
        "filters": [],
        "target": "webhook",
        "url": format!("{origin}/v1/Configuration/Webhooks"),
    });
    shared.settings.apply(&webhooks_key(account), &mut resource);
    resource
}

/// Returns the name under which the webhook configuration of a service or account is stored.
pub(crate) fn webhooks_key(sid: &str) -> String {
    format!("{sid}/Configuration/Webhooks")
}
