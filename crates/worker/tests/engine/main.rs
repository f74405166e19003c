//! The engine against the simulated provider, and against another one, on both databases.

#[cfg(test)]
mod acme;
#[cfg(test)]
mod backfill;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod deletions;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod incoming;
#[cfg(test)]
mod incoming_lost;
#[cfg(test)]
mod incoming_records;
#[cfg(test)]
mod inspect;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod list_ends;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod long_lists;
#[cfg(test)]
mod missing_rows;
#[cfg(test)]
mod odd_values;
#[cfg(test)]
mod ordering;
#[cfg(test)]
mod permissions;
#[cfg(test)]
mod pooler;
#[cfg(test)]
mod provider_limits;
#[cfg(test)]
mod random_lists;
#[cfg(test)]
mod resets;
#[cfg(test)]
mod schedule;
#[cfg(test)]
mod sendgrid;
#[cfg(test)]
mod subscriptions;
#[cfg(test)]
mod truth;
#[cfg(test)]
mod unusual_responses;
#[cfg(test)]
mod webhook_order;
#[cfg(test)]
mod webhook_settings;
#[cfg(test)]
mod webhooks;
