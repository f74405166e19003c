//! Timeouts and retries of a webhook: Twilio's defaults, the connection overrides in a URL's fragment, or a Setting.

use std::time::Duration;

/// The failures after which a webhook is sent again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "an independent switch for each kind of failure"
)]
pub(crate) struct RetryOn {
    pub(crate) client_errors: bool,
    pub(crate) server_errors: bool,
    pub(crate) connect: bool,
    pub(crate) read: bool,
}

impl RetryOn {
    pub(crate) const ALL: Self = Self {
        client_errors: true,
        server_errors: true,
        connect: true,
        read: true,
    };
}

/// Timeouts and retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) connect: Duration,
    pub(crate) read: Duration,
    /// For all attempts together.
    pub(crate) total: Duration,
    /// Attempts after the first.
    pub(crate) retries: u32,
    pub(crate) on: RetryOn,
}

impl Default for Policy {
    /// One retry, and only if no connection could be made.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(15),
            total: Duration::from_secs(15),
            retries: 1,
            on: RetryOn {
                connect: true,
                ..RetryOn::default()
            },
        }
    }
}

impl Policy {
    /// The policy of Event Streams: five seconds for a response. Failed events are scheduled again, not retried at once.
    pub(crate) const EVENT_STREAMS: Self = Self {
        connect: Duration::from_secs(5),
        read: Duration::from_secs(5),
        total: Duration::from_secs(5),
        retries: 0,
        on: RetryOn {
            client_errors: false,
            server_errors: false,
            connect: false,
            read: false,
        },
    };

    /// Reads connection overrides such as `ct=5000&rt=15000&tt=15000&rc=1&rp=ct`. Values beyond Twilio's bounds become the nearest
    /// bound; unknown and unreadable ones (edges, SNI) have no effect.
    pub(crate) fn of_fragment(fragment: &str) -> Self {
        let mut policy = Self::default();
        for (name, value) in fragment.split('&').filter_map(|pair| pair.split_once('=')) {
            let millis = |least: u64| {
                let number = value.parse::<u64>().ok();
                number.map(|number| Duration::from_millis(number.clamp(least, 15_000)))
            };
            match name {
                "ct" => {
                    let most = Duration::from_secs(10);
                    policy.connect = millis(100).map_or(policy.connect, |connect| connect.min(most));
                }
                "rt" => policy.read = millis(100).unwrap_or(policy.read),
                "tt" => policy.total = millis(100).unwrap_or(policy.total),
                "rc" => policy.retries = value.parse().map_or(policy.retries, |count: u32| count.min(5)),
                "rp" => policy.on = retry_on(value),
                _ => {}
            }
        }
        policy
    }
}

fn retry_on(list: &str) -> RetryOn {
    let mut on = RetryOn::default();
    for name in list.split(',') {
        match name {
            "4xx" => on.client_errors = true,
            "5xx" => on.server_errors = true,
            "ct" => on.connect = true,
            "rt" => on.read = true,
            "all" => on = RetryOn::ALL,
            _ => {}
        }
    }
    on
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_replace_the_defaults_within_their_bounds() {
        assert_eq!(Policy::of_fragment(""), Policy::default());
        assert_eq!(Policy::of_fragment("anchor&e=ashburn&rc=many"), Policy::default());
        let policy = Policy::of_fragment("ct=99999&rt=1&tt=2500&rc=9&rp=5xx,rt");
        assert_eq!(
            policy,
            Policy {
                connect: Duration::from_secs(10),
                read: Duration::from_millis(100),
                total: Duration::from_millis(2500),
                retries: 5,
                on: RetryOn {
                    server_errors: true,
                    read: true,
                    ..RetryOn::default()
                },
            }
        );
        assert_eq!(Policy::of_fragment("rc=5&rp=all").on, RetryOn::ALL);
    }
}
