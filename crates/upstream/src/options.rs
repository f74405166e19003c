//! How calls are made, from the configuration.

use std::collections::HashMap;
use std::time::Duration;

use domain::ProviderName;
use url::Url;

/// Settings of [`crate::Upstream`]; the default suits production.
#[derive(Debug, Clone)]
pub struct UpstreamOptions {
    /// Whether loopback, private and other non-public addresses, and plain http, may be called.
    pub allow_private_addresses: bool,
    /// Replaces every server of a provider (a simulator, a region, a recording proxy), so that no call of it goes elsewhere. Such
    /// an address is the operator's word: it may be private and plain http.
    pub base_urls: HashMap<ProviderName, Url>,
    /// Origins beside those of a provider's file that a relayed call may name as its base URL.
    pub allowed_origins: HashMap<ProviderName, Vec<Url>>,
    /// For a connection to stand, TLS included.
    pub connect_timeout: Duration,
    /// For one attempt, its redirects and its body included; of a streamed body for each part.
    pub request_timeout: Duration,
    /// For one call with its retries, and with its wait for a free place.
    pub deadline: Duration,
    /// The longest wait of a relayed call for a free place.
    pub permit_wait: Duration,
    /// For all requests together that check which lists new credentials may read; zero for no such check.
    pub list_check: Duration,
    /// Attempts of one call at most.
    pub max_attempts: u32,
    /// Bytes of a response's body at most, after decoding.
    pub max_body: usize,
    /// Bytes of response bodies that the process holds at once: those that are read, and those whose records are not written yet.
    /// A body that does not fit waits. One body of each kind of request may exceed it, as one larger than all of it must.
    pub memory: usize,
    /// The `User-Agent` header, unless the provider's file sets one.
    pub user_agent: String,
    /// The longest wait that a provider may ask for within a call; beyond it the call fails and tells how long to wait.
    pub max_wait: Duration,
    /// The first wait between attempts is drawn from zero to this, and each next one from twice as much.
    pub base_backoff: Duration,
    /// Where that doubling ends.
    pub max_backoff: Duration,
}

impl Default for UpstreamOptions {
    fn default() -> Self {
        Self {
            allow_private_addresses: false,
            base_urls: HashMap::new(),
            allowed_origins: HashMap::new(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_mins(1),
            deadline: Duration::from_mins(5),
            permit_wait: Duration::from_secs(10),
            list_check: Duration::from_secs(10),
            max_attempts: 8,
            max_body: 64 << 20,
            memory: 64 << 20,
            user_agent: concat!("trunkline/", env!("CARGO_PKG_VERSION")).to_owned(),
            max_wait: Duration::from_mins(2),
            base_backoff: Duration::from_millis(250),
            max_backoff: Duration::from_secs(30),
        }
    }
}
