//! Faults that can be enabled by flag or at run time. All are off by default. Those of webhooks affect webhooks; the others affect
//! only the Twilio API.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::webhooks::WebhookFaults;

/// A burst of errors: after every `every` requests, the next `length` get an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the doc of the type explains both fields")]
pub struct Burst {
    pub every: u64,
    pub length: u64,
}

impl FromStr for Burst {
    type Err = String;

    /// Parses `EVERY:LENGTH`, such as `100:5`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (every, length) = text
            .split_once(':')
            .ok_or("expected EVERY:LENGTH, such as 100:5")?;
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

/// The enabled faults. Rates are shares of requests from 0 to 1, drawn from the seeded generator in request order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "independent flags of the program")]
pub struct Faults {
    /// Milliseconds before each response.
    #[arg(long, default_value_t = 0)]
    pub latency_ms: u64,
    /// Additional random milliseconds before each response, up to this many.
    #[arg(long, default_value_t = 0)]
    pub latency_jitter_ms: u64,
    /// Share of requests that get 429/20429.
    #[arg(long, default_value_t = 0.0)]
    pub rate_429: f64,
    /// `Retry-After` in seconds of every 429; no header when absent.
    #[arg(long)]
    pub retry_after: Option<u64>,
    /// After every N requests, M in a row get 429 (as a flag: `N:M`).
    #[arg(long)]
    pub burst_429: Option<Burst>,
    /// Requests above this concurrency get 429.
    #[arg(long)]
    pub concurrency_limit: Option<u32>,
    /// Share of requests that get 500/20500.
    #[arg(long, default_value_t = 0.0)]
    pub rate_500: f64,
    /// Share of requests that get 503/20503.
    #[arg(long, default_value_t = 0.0)]
    pub rate_503: f64,
    /// Share of requests that get 502 with CloudFront's HTML page.
    #[arg(long, default_value_t = 0.0)]
    pub rate_502_html: f64,
    /// Share of requests that get 401/20003 although the credentials are valid.
    #[arg(long, default_value_t = 0.0)]
    pub rate_401: f64,
    /// Share of responses whose connection is closed in the middle of the body.
    #[arg(long, default_value_t = 0.0)]
    pub rate_cut: f64,
    /// Share of responses whose second half is sent `slow_ms` later.
    #[arg(long, default_value_t = 0.0)]
    pub rate_slow: f64,
    /// The pause of a slow body in milliseconds.
    #[arg(long, default_value_t = 0)]
    pub slow_ms: u64,
    /// Compress responses when `Accept-Encoding` allows it.
    #[arg(long)]
    pub gzip: bool,
    /// A `PageSize` above this gets 500/20500.
    #[arg(long)]
    pub max_page_size: Option<u32>,
    /// The next link points to its own page.
    #[arg(long)]
    pub repeat_page: bool,
    /// The next link is absolute, on this origin (for instance `https://elsewhere.example`).
    #[arg(long)]
    pub foreign_next_link: Option<String>,
    /// Date filters ignore the time of day and use the UTC day.
    #[arg(long)]
    pub time_ignored: bool,
    /// Date filters match messages without `date_sent` by their `date_created`.
    #[arg(long)]
    pub undated_in_filters: bool,
    /// A list whose count is a multiple of the page size ends with an empty page.
    #[arg(long)]
    pub empty_last_page: bool,
    /// A page token of a deleted message gets 400/21481.
    #[arg(long)]
    pub strict_anchor: bool,
    /// Share of listed messages with malformed fields: numbers for text, nulls, missing keys, invalid dates, a NUL in the body.
    #[arg(long, default_value_t = 0.0)]
    pub bad_fields: f64,
    /// Share of requests that get 200 with an HTML body.
    #[arg(long, default_value_t = 0.0)]
    pub html_200: f64,
    /// Faults of webhooks.
    #[command(flatten)]
    pub webhooks: WebhookFaults,
}
