//! Each built-in provider file against a server that responds like the provider's documentation shows.
//!
//! The rows are the same on both databases, so these tests use SQLite; the engine's tests and one of these run on both.

#[cfg(test)]
mod fake_provider;

#[cfg(test)]
mod activecampaign;
#[cfg(test)]
mod airtable;
#[cfg(test)]
mod close;
#[cfg(test)]
mod datadog;
#[cfg(test)]
mod freshdesk;
#[cfg(test)]
mod github;
#[cfg(test)]
mod intercom;
#[cfg(test)]
mod klaviyo;
#[cfg(test)]
mod lever;
#[cfg(test)]
mod mailgun;
#[cfg(test)]
mod notion;
#[cfg(test)]
mod pagerduty;
#[cfg(test)]
mod plivo;
#[cfg(test)]
mod posthog;
#[cfg(test)]
mod postmark;
#[cfg(test)]
mod resend;
#[cfg(test)]
mod sentry;
#[cfg(test)]
mod shopify;
#[cfg(test)]
mod stripe;
#[cfg(test)]
mod zendesk;
