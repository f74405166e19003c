//! What a message is born with: its people, its words and its course, as a pure function of seed and rank.

use crate::bodies::{Bodies, Text};
use crate::course::{Course, Traits};
use crate::dates::DAY;
use crate::message::Direction;
use crate::mixing::{Dice, draw};

const NAMES: [&str; 3] = ["ParcelCo", "ACME", "Trunkline"];
const CAMPAIGNS: [&str; 4] = ["spring", "reminder", "winback", "o'clock \"news\""];

/// One end of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Address<'a> {
    Phone(u64),
    WhatsApp(u64),
    Text(&'a str),
}

/// The words of a message.
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

/// A message as it was born.
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
    pub(crate) course: Course,
}

/// What plans are drawn from.
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

    /// The message of `rank`, which stands at second `at`.
    pub(crate) fn plan(&self, rank: u64, at: i64) -> Plan<'_> {
        let mut dice = Dice::new(self.seed, rank, 0x97A);
        let undated = dice.per_mille(self.undated_per_mille);
        let direction = match dice.below(100) {
            _ if undated => Direction::OutboundApi,
            0..30 => Direction::Inbound,
            30..43 => Direction::OutboundReply,
            43..45 => Direction::OutboundCall,
            _ => Direction::OutboundApi,
        };
        let inbound = direction == Direction::Inbound;
        let whatsapp = dice.per_mille(100);
        let named = !inbound && !whatsapp && dice.per_mille(20);
        let service = direction == Direction::OutboundApi && (undated || dice.per_mille(280));
        let media = if !named && dice.per_mille(60) {
            1 + u32::try_from(dice.below(3)).unwrap_or(0)
        } else {
            0
        };
        let own = dice.pick(&self.numbers).copied().unwrap_or(15_005_550_006);
        let theirs = contact(draw(self.seed, dice.below(20_000), 0xC047));
        let (own, theirs) = if whatsapp {
            (Address::WhatsApp(own), Address::WhatsApp(theirs))
        } else if named {
            (
                Address::Text(dice.pick(&NAMES).copied().unwrap_or("ACME")),
                Address::Phone(theirs),
            )
        } else {
            (Address::Phone(own), Address::Phone(theirs))
        };
        let text = self.bodies.text(dice.next());
        let number = 100_000 + dice.below(9_899_999);
        let redacted = dice.per_mille(4);
        let segments = if media > 0 { 1 } else { text.segments() };
        let tag = dice.per_mille(30).then(|| Tag {
            campaign: dice.pick(&CAMPAIGNS).copied().unwrap_or("spring"),
            variant: dice.below(4),
        });
        let service = if service {
            dice.pick(&self.services).map(String::as_str)
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
        let (created, course) = self.course(&mut dice, traits, at, undated);
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
            course,
        }
    }

    fn course(&self, dice: &mut Dice, traits: Traits, at: i64, undated: bool) -> (i64, Course) {
        if undated {
            let send_at = at + dice.seconds(900, 7 * 86_400);
            if send_at > self.base && at > self.base - 7 * DAY && dice.per_mille(700) {
                return (at, Course::travel(dice, traits, at, send_at, None));
            }
            return (at, Course::dead_end(dice, at));
        }
        // Those that left before the simulator started were never seen waiting, so they may have waited.
        let waited = match dice.below(1000) {
            _ if at > self.base - 600 || traits.direction == Direction::Inbound => 0,
            0..4 => dice.seconds(3600, 6 * 86_400),
            4..40 => dice.seconds(2, 600),
            40..500 => 1,
            _ => 0,
        };
        (
            at - waited,
            Course::travel(dice, traits, at - waited, at, Some(at)),
        )
    }
}

/// A telephone number out of random bits: North American, German or British.
fn contact(bits: u64) -> u64 {
    let digits = crate::mixing::below(bits, 10_000_000);
    match bits & 15 {
        0..10 => 10_000_000_000 + (201 + (bits >> 8 & 0x1FF)) * 10_000_000 + digits,
        10..13 => 4_915_100_000_000 + digits * 9,
        _ => 447_700_000_000 + digits * 9,
    }
}
