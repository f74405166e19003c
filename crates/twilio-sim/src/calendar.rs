//! Maps ranks to seconds: a table of days with their counts, and a formula within a day.

use crate::dates::{DAY, day_start};
use crate::random::{Rng, draw};

/// A UTC day, or the part of it within the history.
#[derive(Debug, Clone, Copy)]
struct Day {
    begin: i64,
    span: u64,
    first: u64,
    count: u64,
}

/// Distributes `total` ranks over the days before `base`, in chronological order.
#[derive(Debug, Clone)]
pub(crate) struct Calendar {
    seed: u64,
    total: u64,
    days: Vec<Day>,
}

impl Calendar {
    pub(crate) fn new(seed: u64, total: u64, base: i64, history_days: u32) -> Self {
        let start = base - i64::from(history_days.max(1)) * DAY;
        let mut spans = Vec::new();
        let mut begin = start;
        while begin < base {
            let end = (day_start(begin) + DAY).min(base);
            spans.push((begin, u64::try_from(end - begin).unwrap_or(0)));
            begin = end;
        }
        let weights = weights(seed, &spans);
        let sum = weights.iter().sum::<u64>().max(1);
        let share = |weight: u64| {
            u64::try_from(u128::from(total) * u128::from(weight) / u128::from(sum)).unwrap_or(0)
        };
        let (mut seen, mut first) = (0, 0);
        let days = spans
            .iter()
            .zip(&weights)
            .map(|(&(begin, span), weight)| {
                seen += weight;
                let next = share(seen);
                let day = Day {
                    begin,
                    span,
                    first,
                    count: next - first,
                };
                first = next;
                day
            })
            .collect();
        Self { seed, total, days }
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Returns the second of `rank`. It never decreases as ranks increase.
    pub(crate) fn time_of(&self, rank: u64) -> i64 {
        let index = self.days.partition_point(|day| day.first + day.count <= rank);
        let Some(day) = self.days.get(index) else {
            return i64::MAX;
        };
        let jitter = draw(self.seed, rank, 0x71AE) & 0xFFFF;
        let within = ((rank - day.first) * 65_536 + jitter) * day.span / (day.count.max(1) * 65_536);
        day.begin + i64::try_from(within).unwrap_or(0)
    }

    /// Returns the lowest rank at `at` or later, or `total` if there is none.
    pub(crate) fn first_at_or_after(&self, at: i64) -> u64 {
        let (mut low, mut high) = (0, self.total);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.time_of(middle) < at {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// Weekends have less traffic, three days are empty, and one day has ten times the traffic.
fn weights(seed: u64, spans: &[(i64, u64)]) -> Vec<u64> {
    let mut rng = Rng::new(seed, 0, 0xDA75);
    let count = u64::try_from(spans.len()).unwrap_or(0);
    let eventful = count >= 10;
    let empty = [1 + rng.below(count), 1 + rng.below(count), 1 + rng.below(count)];
    let busy = 1 + rng.below(count.saturating_sub(2));
    (0..)
        .zip(spans)
        .map(|(index, (begin, span))| {
            // 1970-01-01 was a Thursday.
            let weekend = matches!(begin.div_euclid(DAY).rem_euclid(7), 2 | 3);
            let usual = (if weekend { 35 } else { 100 }) * (80 + rng.below(41));
            let weight = match index {
                // The last days are never empty, because tests read them.
                _ if !eventful => usual,
                index if index == busy => 100_000,
                index if empty.contains(&index) && index + 3 < count => 0,
                _ => usual,
            };
            weight * span
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: i64 = 1_795_000_000;

    #[test]
    fn ranks_rise_with_time_and_stay_within_the_history() {
        let calendar = Calendar::new(5, 50_000, BASE, 60);
        let mut last = BASE - 60 * DAY;
        for rank in 0..50_000 {
            let at = calendar.time_of(rank);
            assert!(last <= at && at < BASE);
            last = at;
        }
    }

    #[test]
    fn a_search_by_time_agrees_with_the_times() {
        let calendar = Calendar::new(5, 10_000, BASE, 30);
        for at in (BASE - 31 * DAY..BASE + DAY).step_by(40_000) {
            let rank = calendar.first_at_or_after(at);
            assert!(rank == 10_000 || calendar.time_of(rank) >= at);
            assert!(rank == 0 || calendar.time_of(rank - 1) < at);
        }
    }

    #[test]
    fn some_day_is_empty_and_one_is_far_busier_than_the_rest() {
        let calendar = Calendar::new(5, 100_000, BASE, 90);
        let mut counts: Vec<u64> = calendar.days.iter().map(|day| day.count).collect();
        counts.sort_unstable();
        assert_eq!(counts[0], 0);
        assert!(counts[counts.len() - 1] > 5 * counts[counts.len() - 2]);
    }
}
