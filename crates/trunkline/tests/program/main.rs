//! The program as users run it: its commands, exit statuses and signals.

#[cfg(test)]
mod catalog;
#[cfg(test)]
mod commands;
#[cfg(all(test, feature = "demo"))]
mod demo;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod ids;
#[cfg(test)]
mod listen;
#[cfg(test)]
mod missing_database;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod process;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod terminal;
#[cfg(test)]
mod upgrades;
#[cfg(test)]
mod usage;
#[cfg(test)]
mod webhooks;
