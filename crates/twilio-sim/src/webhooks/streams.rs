//! The state of Event Streams: the types of events, sinks, and subscriptions.

use crate::sid::fixed;

/// A type of events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventType {
    pub(crate) name: &'static str,
    pub(crate) schema: &'static str,
    pub(crate) description: &'static str,
}

/// The newest version of each schema.
const SCHEMAS: [(&str, u32); 8] = [
    ("Messaging.MessageStatus", 8),
    ("Messaging.InboundMessageV1", 6),
    ("Voice.WebhookEvent", 2),
    ("Conversations.MessageAdded", 2),
    ("Conversations.ConversationAdded", 2),
    ("Conversations.ConversationRemoved", 2),
    ("Conversations.ParticipantAdded", 2),
    ("Conversations.ParticipantRemoved", 2),
];

const fn event_type(name: &'static str, schema: &'static str, description: &'static str) -> EventType {
    EventType {
        name,
        schema,
        description,
    }
}

/// The types that the simulator sends. Twilio has over a hundred.
pub(crate) const EVENT_TYPES: [EventType; 16] = [
    event_type(
        "com.twilio.messaging.message.queued",
        "Messaging.MessageStatus",
        "Messaging- queued message",
    ),
    event_type(
        "com.twilio.messaging.message.sent",
        "Messaging.MessageStatus",
        "Messaging- sent message",
    ),
    event_type(
        "com.twilio.messaging.message.delivered",
        "Messaging.MessageStatus",
        "Messaging- delivered message",
    ),
    event_type(
        "com.twilio.messaging.message.undelivered",
        "Messaging.MessageStatus",
        "Messaging- undelivered message",
    ),
    event_type(
        "com.twilio.messaging.message.failed",
        "Messaging.MessageStatus",
        "Messaging- failed message",
    ),
    event_type(
        "com.twilio.messaging.message.read",
        "Messaging.MessageStatus",
        "Messaging- read message",
    ),
    event_type(
        "com.twilio.messaging.inbound-message.received",
        "Messaging.InboundMessageV1",
        "Messaging- received message",
    ),
    event_type(
        "com.twilio.voice.status-callback.call.initiated",
        "Voice.WebhookEvent",
        "Voice- initiated call",
    ),
    event_type(
        "com.twilio.voice.status-callback.call.ringing",
        "Voice.WebhookEvent",
        "Voice- ringing call",
    ),
    event_type(
        "com.twilio.voice.status-callback.call.answered",
        "Voice.WebhookEvent",
        "Voice- answered call",
    ),
    event_type(
        "com.twilio.voice.status-callback.call.completed",
        "Voice.WebhookEvent",
        "Voice- completed call",
    ),
    event_type(
        "com.twilio.conversations.message.added",
        "Conversations.MessageAdded",
        "Conversations- added message",
    ),
    event_type(
        "com.twilio.conversations.conversation.added",
        "Conversations.ConversationAdded",
        "Conversations- added conversation",
    ),
    event_type(
        "com.twilio.conversations.conversation.removed",
        "Conversations.ConversationRemoved",
        "Conversations- removed conversation",
    ),
    event_type(
        "com.twilio.conversations.participant.added",
        "Conversations.ParticipantAdded",
        "Conversations- added participant",
    ),
    event_type(
        "com.twilio.conversations.participant.removed",
        "Conversations.ParticipantRemoved",
        "Conversations- removed participant",
    ),
];

impl EventType {
    /// Returns the type with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        EVENT_TYPES.into_iter().find(|one| one.name == name)
    }

    /// Returns the newest version of a schema.
    pub(crate) fn newest_version(schema: &str) -> Option<u32> {
        SCHEMAS
            .iter()
            .find_map(|(id, version)| (*id == schema).then_some(*version))
    }
}

/// A destination of events.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    pub(crate) sid: String,
    pub(crate) account: String,
    pub(crate) description: String,
    pub(crate) destination: String,
    pub(crate) method: String,
    pub(crate) batch_events: bool,
    /// The id in the last test event.
    pub(crate) test_id: Option<String>,
    pub(crate) created: i64,
    pub(crate) updated: i64,
}

/// The types of events that go to a sink.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) sid: String,
    pub(crate) account: String,
    pub(crate) description: String,
    pub(crate) sink: String,
    /// Types with the versions of their schemas, in the order in which they were subscribed.
    pub(crate) types: Vec<(String, u32)>,
    pub(crate) created: i64,
    pub(crate) updated: i64,
}

/// All sinks and subscriptions, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    pub(crate) sinks: Vec<Sink>,
    pub(crate) subscriptions: Vec<Subscription>,
    numbered: u64,
}

impl Streams {
    /// Returns a new SID with this prefix.
    pub(crate) fn new_sid(&mut self, prefix: &str, seed: u64) -> String {
        self.numbered += 1;
        fixed(prefix, seed, 2_000_000 + self.numbered)
    }

    /// Returns whether an account has a subscription.
    pub(crate) fn has_subscription(&self, account: &str) -> bool {
        self.subscriptions.iter().any(|one| one.account == account)
    }

    /// Returns the sinks that get events of a type, each with the subscribed version of the schema.
    pub(crate) fn sinks_for(&self, account: &str, name: &str) -> Vec<(&Sink, u32)> {
        self.subscriptions
            .iter()
            .filter(|one| one.account == account)
            .filter_map(|one| {
                let version = one
                    .types
                    .iter()
                    .find_map(|(known, version)| (known == name).then_some(*version))?;
                let sink = self.sinks.iter().find(|sink| sink.sid == one.sink)?;
                Some((sink, version))
            })
            .collect()
    }
}
