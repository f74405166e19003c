//! Mutations of many messages, selected by a seed and plausible for each message.

use serde_json::{Map, Value};

use crate::change::{Mutation, MutationKind, MutationReport, Patch};
use crate::dates::DAY;
use crate::filter::Period;
use crate::message::Status;
use crate::message_store::MessageStore;
use crate::plan::{Address, Body};
use crate::random::{Rng, chance, draw};
use crate::row::{Price, Row};

const SALT: u64 = 0x307A;

/// A change that applies to a message.
enum Change {
    Status(Status, Option<i64>),
    Price(String),
    Redact,
    Delete,
    Extra(u64),
}

impl MessageStore {
    /// Applies a mutation at `now`.
    pub(crate) fn mutate(&mut self, mutation: &Mutation, now: i64) -> MutationReport {
        let first = mutation
            .within_days
            .map_or(i64::MIN, |days| now - i64::from(days) * DAY);
        let chosen: Vec<_> = self
            .oldest_first(
                Period {
                    first,
                    last: i64::MAX,
                },
                None,
                now,
            )
            .filter(|(_, rank)| chance(draw(mutation.seed, *rank, SALT), mutation.share))
            .collect();
        let kinds = if mutation.kinds.is_empty() {
            &MutationKind::ALL[..]
        } else {
            &mutation.kinds
        };
        let mut report = MutationReport::default();
        for key in chosen {
            report.chosen += 1;
            let mut rng = Rng::new(mutation.seed, key.1, SALT + 1);
            let change = self
                .row_at(key, now)
                .and_then(|row| applicable_change(&row, kinds, &mut rng));
            self.apply(key.1, change, now, &mut report);
        }
        report
    }

    fn apply(&mut self, rank: u64, change: Option<Change>, now: i64, report: &mut MutationReport) {
        match change {
            None => report.unchanged += 1,
            Some(Change::Status(status, error)) => {
                report.status += 1;
                self.set_status(rank, status, error, now);
            }
            Some(Change::Price(price)) => {
                report.price += 1;
                self.patch(
                    rank,
                    Patch {
                        price: Some(Some(price)),
                        ..Patch::default()
                    },
                    now,
                );
            }
            Some(Change::Redact) => {
                report.redact += 1;
                self.patch(
                    rank,
                    Patch {
                        body: Some(String::new()),
                        ..Patch::default()
                    },
                    now,
                );
            }
            Some(Change::Delete) => {
                report.delete += 1;
                self.delete(rank);
            }
            Some(Change::Extra(revision)) => {
                report.extra += 1;
                let tags =
                    Map::from_iter([("revision".to_owned(), Value::String(format!("{revision:08x}")))]);
                self.tag(rank, tags, now);
            }
        }
    }
}

fn applicable_change(row: &Row<'_>, kinds: &[MutationKind], rng: &mut Rng) -> Option<Change> {
    let count = kinds.len();
    let start = usize::try_from(rng.below(u64::try_from(count).unwrap_or(1))).unwrap_or(0);
    kinds
        .iter()
        .cycle()
        .skip(start)
        .take(count)
        .find_map(|kind| match kind {
            MutationKind::Status => {
                later_status(row, rng).map(|(status, error)| Change::Status(status, error))
            }
            MutationKind::Price => later_price(row, rng).map(Change::Price),
            MutationKind::Redact => (!matches!(row.body, Body::Text(""))).then_some(Change::Redact),
            MutationKind::Delete => Some(Change::Delete),
            MutationKind::Extra => Some(Change::Extra(rng.below(u64::from(u32::MAX)))),
        })
}

fn later_status(row: &Row<'_>, rng: &mut Rng) -> Option<(Status, Option<i64>)> {
    let whatsapp = match row.to {
        Address::WhatsApp(_) => true,
        Address::Phone(_) => false,
        Address::Text(text) => text.starts_with("whatsapp:"),
    };
    match row.status {
        Status::Sent if rng.per_mille(150) => Some((Status::Undelivered, Some(30003))),
        Status::Queued | Status::Accepted | Status::Sending if rng.per_mille(200) => {
            Some((Status::Failed, Some(30001)))
        }
        Status::Queued | Status::Accepted | Status::Sending => Some((Status::Sent, None)),
        // A late receipt changes an undelivered message to delivered.
        Status::Sent | Status::Undelivered | Status::PartiallyDelivered => Some((Status::Delivered, None)),
        Status::Delivered if whatsapp => Some((Status::Read, None)),
        Status::Receiving => Some((Status::Received, None)),
        Status::Scheduled => Some((Status::Canceled, None)),
        Status::Delivered | Status::Failed | Status::Received | Status::Read | Status::Canceled => None,
    }
}

fn later_price(row: &Row<'_>, rng: &mut Rng) -> Option<String> {
    row.sent?;
    let units = 100 * (1 + rng.below(120)) + rng.below(2) * 50;
    let same = match row.price {
        Some(Price::Units(old)) => u64::from(old) == units,
        Some(Price::Text(_)) | None => false,
    };
    let units = if same { units + 10 } else { units };
    Some(format!("-{}.{:05}", units / 100_000, units % 100_000))
}
