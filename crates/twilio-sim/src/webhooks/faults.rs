//! Faults of webhooks that can be enabled by flag or at run time. All are off by default.

use serde::{Deserialize, Serialize};

use crate::random::{chance, draw};
use crate::webhooks::callback::Callback;
use crate::webhooks::signed_url::SignedUrl;

/// The enabled faults of webhooks. Shares are from 0 to 1, drawn from the seeded generator in the order of the webhooks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookFaults {
    /// Share of webhooks that are never sent.
    #[arg(id = "webhook_lost", long = "webhook-lost", default_value_t = 0.0)]
    pub lost: f64,
    /// Share of webhooks that are sent twice, each time with its own idempotency token.
    #[arg(id = "webhook_doubled", long = "webhook-doubled", default_value_t = 0.0)]
    pub doubled: f64,
    /// Share of webhooks that are sent twice with the same idempotency token.
    #[arg(id = "webhook_repeated", long = "webhook-repeated", default_value_t = 0.0)]
    pub repeated: f64,
    /// Share of webhooks that are sent `late_seconds` later.
    #[arg(id = "webhook_late", long = "webhook-late", default_value_t = 0.0)]
    pub late: f64,
    /// The delay of a late webhook, in seconds of the simulator's clock.
    #[arg(
        id = "webhook_late_seconds",
        long = "webhook-late-seconds",
        default_value_t = 0
    )]
    pub late_seconds: u32,
    /// Share of webhooks that are sent after the next one of the same message or call, or a minute later.
    #[arg(
        id = "webhook_out_of_order",
        long = "webhook-out-of-order",
        default_value_t = 0.0
    )]
    pub out_of_order: f64,
    /// Share of webhooks that are signed with a wrong key.
    #[arg(
        id = "webhook_wrong_signature",
        long = "webhook-wrong-signature",
        default_value_t = 0.0
    )]
    pub wrong_signature: f64,
    /// Share of webhooks whose parameters or body are altered after they were signed.
    #[arg(id = "webhook_altered", long = "webhook-altered", default_value_t = 0.0)]
    pub altered: f64,
    /// Share of webhooks whose body arrives in two halves, `slow_ms` apart.
    #[arg(id = "webhook_slow", long = "webhook-slow", default_value_t = 0.0)]
    pub slow: f64,
    /// The pause in a slow body in milliseconds.
    #[arg(id = "webhook_slow_ms", long = "webhook-slow-ms", default_value_t = 0)]
    pub slow_ms: u64,
    /// The form of the URL that is signed.
    #[arg(
        id = "webhook_signed_url",
        long = "webhook-signed-url",
        value_enum,
        default_value_t
    )]
    pub signed_url: SignedUrl,
    /// Send a single event of Event Streams as an object, not as an array with one element.
    #[arg(id = "webhook_bare_events", long = "webhook-bare-events")]
    pub bare_events: bool,
    /// The faults with a share affect only webhooks with one of these statuses or event types (`delivered`, `completed`,
    /// `onMessageAdded`). Empty means all.
    #[arg(id = "webhook_only", long = "webhook-only", value_delimiter = ',')]
    pub only: Vec<String>,
}

/// The faults that affect one webhook.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent faults")]
pub(crate) struct Marks {
    pub(crate) lost: bool,
    pub(crate) doubled: bool,
    pub(crate) repeated: bool,
    pub(crate) late: bool,
    pub(crate) out_of_order: bool,
    pub(crate) wrong_signature: bool,
    pub(crate) altered: bool,
    pub(crate) slow: bool,
    pub(crate) slow_ms: u64,
    pub(crate) signed_url: SignedUrl,
}

impl Marks {
    /// Draws the faults of webhook `number`.
    pub(crate) fn draw(faults: &WebhookFaults, seed: u64, number: u64, callback: &Callback) -> Self {
        let affected = faults.only.is_empty() || faults.only.contains(&callback.state);
        let hit = |salt: u64, share: f64| affected && chance(draw(seed, number, salt), share);
        Self {
            lost: hit(0x3B1, faults.lost),
            doubled: hit(0x3B2, faults.doubled),
            repeated: hit(0x3B3, faults.repeated),
            late: hit(0x3B4, faults.late),
            out_of_order: callback.ordered && hit(0x3B5, faults.out_of_order),
            wrong_signature: hit(0x3B6, faults.wrong_signature),
            altered: hit(0x3B7, faults.altered),
            slow: hit(0x3B8, faults.slow),
            slow_ms: faults.slow_ms,
            signed_url: faults.signed_url,
        }
    }

    /// Returns the names of the faults, as in [`WebhookFaults`].
    pub(crate) fn names(self) -> Vec<String> {
        [
            (self.lost, "lost"),
            (self.doubled, "doubled"),
            (self.repeated, "repeated"),
            (self.late, "late"),
            (self.out_of_order, "out_of_order"),
            (self.wrong_signature, "wrong_signature"),
            (self.altered, "altered"),
            (self.slow, "slow"),
        ]
        .into_iter()
        .filter(|(on, _)| *on)
        .map(|(_, name)| name.to_owned())
        .collect()
    }
}
