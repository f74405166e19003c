//! Real processes, killed at random moments: nothing is lost or duplicated, and no secret is left behind.

#[cfg(test)]
mod actions;
#[cfg(test)]
mod incoming;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod provider;
#[cfg(test)]
mod webhooks;
