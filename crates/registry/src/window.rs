//! The bounds of a window, as its provider takes them.

use std::time::Duration;

use domain::Timestamp;

use crate::{BoundFormat, Window};

impl Window {
    /// Returns the query parameters that bound a list to `[from, to)`; without `to` the range reaches to the newest record.
    pub fn bounds(&self, from: Timestamp, to: Option<Timestamp>) -> Vec<(String, String)> {
        let mut query = Vec::new();
        if let Some(name) = &self.from {
            query.push((name.clone(), self.write(from)));
        }
        if let (Some(name), Some(to)) = (&self.to, to) {
            // `to` itself belongs to the next range. Where the provider includes its bound, the bound is one unit less.
            let last = if self.to_inclusive {
                to.minus(self.granularity())
            } else {
                to
            };
            query.push((name.clone(), self.write(last)));
        }
        query
    }

    /// Returns the unit in which bounds are written.
    pub fn granularity(&self) -> Duration {
        match self.format {
            BoundFormat::Date => Timestamp::DAY,
            BoundFormat::DateTime | BoundFormat::UnixSeconds => Timestamp::SECOND,
            BoundFormat::UnixMillis => Duration::from_millis(1),
        }
    }

    fn write(&self, time: Timestamp) -> String {
        match self.format {
            BoundFormat::Date => time.to_chrono().format("%Y-%m-%d").to_string(),
            BoundFormat::DateTime => time.to_chrono().format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            BoundFormat::UnixSeconds => time.as_micros().div_euclid(1_000_000).to_string(),
            BoundFormat::UnixMillis => time.as_micros().div_euclid(1_000).to_string(),
        }
    }
}
