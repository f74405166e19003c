//! The faults that can be switched on, by flag or at run time. All are off by default and touch the Twilio API only.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A run of refusals: after every `every` requests, the next `length` are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "both fields are told above")]
pub struct Burst {
    pub every: u64,
    pub length: u64,
}

impl FromStr for Burst {
    type Err = String;

    /// Reads `EVERY:LENGTH`, for instance `100:5`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (every, length) = text
            .split_once(':')
            .ok_or("expected EVERY:LENGTH, for instance 100:5")?;
        let number = |part: &str| {
            part.trim()
                .parse::<u64>()
                .map_err(|error| format!("{part}: {error}"))
        };
        Ok(Self {
            every: number(every)?,
            length: number(length)?,
        })
    }
}

/// What goes wrong. Rates are shares of requests from 0 to 1, drawn from the seeded generator in the order of requests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches, each a flag of the program"
)]
pub struct Faults {
    /// Milliseconds before each answer.
    #[arg(long, default_value_t = 0)]
    pub latency_ms: u64,
    /// Up to so many milliseconds more, at random.
    #[arg(long, default_value_t = 0)]
    pub latency_jitter_ms: u64,
    /// Share of requests answered 429/20429.
    #[arg(long, default_value_t = 0.0)]
    pub rate_429: f64,
    /// `Retry-After` in seconds on every 429; no header when absent.
    #[arg(long)]
    pub retry_after: Option<u64>,
    /// After every N requests, M in a row are 429 (as a flag: `N:M`).
    #[arg(long)]
    pub burst_429: Option<Burst>,
    /// More requests than this at a time are 429.
    #[arg(long)]
    pub concurrency_limit: Option<u32>,
    /// Share of requests answered 500/20500.
    #[arg(long, default_value_t = 0.0)]
    pub rate_500: f64,
    /// Share of requests answered 503/20503.
    #[arg(long, default_value_t = 0.0)]
    pub rate_503: f64,
    /// Share of requests answered 502 with CloudFront's HTML page.
    #[arg(long, default_value_t = 0.0)]
    pub rate_502_html: f64,
    /// Share of requests answered 401/20003 although the credentials are right.
    #[arg(long, default_value_t = 0.0)]
    pub rate_401: f64,
    /// Share of answers whose connection is cut in the middle of the body.
    #[arg(long, default_value_t = 0.0)]
    pub rate_cut: f64,
    /// Share of answers whose second half comes `slow_ms` later.
    #[arg(long, default_value_t = 0.0)]
    pub rate_slow: f64,
    /// The pause of a slow body in milliseconds.
    #[arg(long, default_value_t = 0)]
    pub slow_ms: u64,
    /// Compress answers when `Accept-Encoding` allows it.
    #[arg(long)]
    pub gzip: bool,
    /// A `PageSize` above this is answered 500/20500.
    #[arg(long)]
    pub max_page_size: Option<u32>,
    /// The next link points at the page that bears it, for ever.
    #[arg(long)]
    pub repeat_page: bool,
    /// The next link is absolute, on this origin (for instance `https://elsewhere.example`).
    #[arg(long)]
    pub foreign_next_link: Option<String>,
    /// Times of day in date filters are cut to the UTC day.
    #[arg(long)]
    pub time_ignored: bool,
    /// Messages without `date_sent` pass date filters by their `date_created`.
    #[arg(long)]
    pub undated_in_filters: bool,
    /// A count that is a multiple of the page size ends with one empty page.
    #[arg(long)]
    pub empty_last_page: bool,
    /// A page token whose message was deleted is refused with 400/21481.
    #[arg(long)]
    pub strict_anchor: bool,
    /// Share of listed messages with odd fields: numbers for text, nulls, missing keys, garbage dates, a NUL in the body.
    #[arg(long, default_value_t = 0.0)]
    pub bad_fields: f64,
    /// Share of requests answered 200 with an HTML body.
    #[arg(long, default_value_t = 0.0)]
    pub html_200: f64,
}
