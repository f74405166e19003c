//! The initial state of a message: addresses, text and lifecycle, as a pure function of seed and rank.

use crate::bodies::{Bodies, Text};
use crate::dates::DAY;
use crate::lifecycle::{Lifecycle, Traits};
use crate::message::Direction;
use crate::random::{Rng, draw};

const NAMES: [&str; 3] = ["ParcelCo", "ACME", "Trunkline"];
const CAMPAIGNS: [&str; 4] = ["spring", "reminder", "winback", "o'clock \"news\""];

/// The sender or recipient of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Address<'a> {
    Phone(u64),
    WhatsApp(u64),
    Text(&'a str),
}

/// The text of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Body<'a> {
    Pooled(&'a Text, u64),
    Text(&'a str),
}

/// The `tags` of a generated message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tag {
    pub(crate) campaign: &'static str,
    pub(crate) variant: u64,
}

/// The initial state of a message.
#[derive(Debug, Clone)]
pub(crate) struct Plan<'a> {
    pub(crate) created: i64,
    pub(crate) direction: Direction,
    pub(crate) from: Address<'a>,
    pub(crate) to: Address<'a>,
    pub(crate) service: Option<&'a str>,
    pub(crate) body: Body<'a>,
    pub(crate) media: u32,
    pub(crate) segments: u32,
    pub(crate) tag: Option<Tag>,
    pub(crate) lifecycle: Lifecycle,
}

/// Generates the initial states of messages.
#[derive(Debug)]
pub(crate) struct Planner {
    pub(crate) seed: u64,
    pub(crate) base: i64,
    pub(crate) undated_per_mille: u32,
    pub(crate) bodies: Bodies,
    /// The account's own numbers.
    pub(crate) numbers: Vec<u64>,
    /// The account's Messaging Services.
    pub(crate) services: Vec<String>,
}

impl Planner {
    pub(crate) fn new(seed: u64, base: i64, undated_per_mille: u32) -> Self {
        Self {
            seed,
            base,
            undated_per_mille,
            bodies: Bodies::new(seed),
            numbers: (0..12).map(|index| contact(draw(seed, index, 0x0117))).collect(),
            services: (0..3)
                .map(|index| crate::sid::fixed("MG", seed, 100 + index))
                .collect(),
        }
    }

    /// Returns the message of `rank`, whose second is `at`.
    pub(crate) fn plan(&self, rank: u64, at: i64) -> Plan<'_> {
        let mut rng = Rng::new(self.seed, rank, 0x97A);
        let undated = rng.per_mille(self.undated_per_mille);
        let direction = match rng.below(100) {
            _ if undated => Direction::OutboundApi,
            0..30 => Direction::Inbound,
            30..43 => Direction::OutboundReply,
            43..45 => Direction::OutboundCall,
            _ => Direction::OutboundApi,
        };
        let inbound = direction == Direction::Inbound;
        let whatsapp = rng.per_mille(100);
        let named = !inbound && !whatsapp && rng.per_mille(20);
        let service = direction == Direction::OutboundApi && (undated || rng.per_mille(280));
        let media = if !named && rng.per_mille(60) {
            1 + u32::try_from(rng.below(3)).unwrap_or(0)
        } else {
            0
        };
        let own = rng.pick(&self.numbers).copied().unwrap_or(15_005_550_006);
        let theirs = contact(draw(self.seed, rng.below(20_000), 0xC047));
        let (own, theirs) = if whatsapp {
            (Address::WhatsApp(own), Address::WhatsApp(theirs))
        } else if named {
            (
                Address::Text(rng.pick(&NAMES).copied().unwrap_or("ACME")),
                Address::Phone(theirs),
            )
        } else {
            (Address::Phone(own), Address::Phone(theirs))
        };
        let text = self.bodies.text(rng.next());
        let number = 100_000 + rng.below(9_899_999);
        let redacted = rng.per_mille(4);
        let segments = if media > 0 { 1 } else { text.segments() };
        let tag = rng.per_mille(30).then(|| Tag {
            campaign: rng.pick(&CAMPAIGNS).copied().unwrap_or("spring"),
            variant: rng.below(4),
        });
        let service = if service {
            rng.pick(&self.services).map(String::as_str)
        } else {
            None
        };
        let traits = Traits {
            direction,
            whatsapp,
            service: service.is_some(),
            segments,
            media,
        };
        let (created, lifecycle) = self.lifecycle(&mut rng, traits, at, undated);
        Plan {
            created,
            direction,
            from: if inbound { theirs } else { own },
            to: if inbound { own } else { theirs },
            service,
            body: if redacted {
                Body::Text("")
            } else {
                Body::Pooled(text, number)
            },
            media,
            segments,
            tag,
            lifecycle,
        }
    }

    fn lifecycle(&self, rng: &mut Rng, traits: Traits, at: i64, undated: bool) -> (i64, Lifecycle) {
        if undated {
            let send_at = at + rng.seconds(900, 7 * 86_400);
            if send_at > self.base && at > self.base - 7 * DAY && rng.per_mille(700) {
                return (at, Lifecycle::new(rng, traits, at, send_at, None));
            }
            return (at, Lifecycle::never_sent(rng, at));
        }
        // Messages sent before the simulator started may have been queued, because no client observed them.
        let waited = match rng.below(1000) {
            _ if at > self.base - 600 || traits.direction == Direction::Inbound => 0,
            0..4 => rng.seconds(3600, 6 * 86_400),
            4..40 => rng.seconds(2, 600),
            40..500 => 1,
            _ => 0,
        };
        (
            at - waited,
            Lifecycle::new(rng, traits, at - waited, at, Some(at)),
        )
    }
}

/// Returns a phone number for random bits: North American, German or British.
fn contact(bits: u64) -> u64 {
    let digits = crate::random::below(bits, 10_000_000);
    match bits & 15 {
        0..10 => 10_000_000_000 + (201 + (bits >> 8 & 0x1FF)) * 10_000_000 + digits,
        10..13 => 4_915_100_000_000 + digits * 9,
        _ => 447_700_000_000 + digits * 9,
    }
}
