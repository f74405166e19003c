//! The settings of the client.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use domain::ProviderName;
use url::Url;

use crate::Backoff;

/// The settings of [`crate::Upstream`]; the default suits production.
#[derive(Clone)]
pub struct UpstreamOptions {
    /// Whether loopback, private and other non-public addresses, and plain http, are allowed.
    pub allow_private_addresses: bool,
    /// The same for the endpoints of apps that receive webhooks.
    pub allow_private_webhooks: bool,
    /// Replaces every server of a provider (a simulator, a region, a recording proxy), so that no request goes elsewhere. Such an
    /// address may be private and plain http.
    pub base_urls: HashMap<ProviderName, Url>,
    /// Origins beside those of a provider's file that a proxied request may name as its base URL.
    pub allowed_origins: HashMap<ProviderName, Vec<Url>>,
    /// The time to open a connection, TLS included.
    pub connect_timeout: Duration,
    /// The time of one attempt, its redirects and its body included; for a streamed body that of each part.
    pub request_timeout: Duration,
    /// The time of one request with its retries and its wait for a permit.
    pub deadline: Duration,
    /// The time of all requests together that check which lists new credentials may read; zero for no such check.
    pub list_check: Duration,
    /// The most attempts of one request.
    pub max_attempts: u32,
    /// The most bytes of a response's body, after decoding.
    pub max_body: usize,
    /// The most bytes of response bodies in memory: of bodies that are being read, and of those with records that are not
    /// written yet. A body that does not fit waits. One body of each priority may exceed it, as one larger than all of it must.
    pub memory: usize,
    /// The longest wait that a provider may ask for within a request. Beyond it the request fails, and the error says how long to wait.
    pub max_wait: Duration,
    /// The waits between attempts; each is random, from zero to the full wait.
    pub backoff: Backoff,
}

/// Shows the names of the providers with a base URL of their own, and no URL: it may contain a password.
impl fmt::Debug for UpstreamOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamOptions")
            .field("allow_private_addresses", &self.allow_private_addresses)
            .field("base_urls", &self.base_urls.keys())
            .field("max_attempts", &self.max_attempts)
            .finish_non_exhaustive()
    }
}

impl Default for UpstreamOptions {
    fn default() -> Self {
        Self {
            allow_private_addresses: false,
            allow_private_webhooks: false,
            base_urls: HashMap::new(),
            allowed_origins: HashMap::new(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_mins(1),
            deadline: Duration::from_mins(5),
            list_check: Duration::from_secs(10),
            max_attempts: 8,
            max_body: 64 << 20,
            memory: 64 << 20,
            max_wait: Duration::from_mins(2),
            backoff: Backoff {
                first: Duration::from_millis(250),
                longest: Duration::from_secs(30),
            },
        }
    }
}
