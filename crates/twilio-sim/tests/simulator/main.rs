//! Tests of the simulator over HTTP, like a client.

#[cfg(test)]
mod access;
#[cfg(test)]
mod calling;
#[cfg(test)]
mod changes;
#[cfg(test)]
mod client;
#[cfg(test)]
mod event_streams;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod lookups;
#[cfg(test)]
mod numbers;
#[cfg(test)]
mod paging;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod sending;
#[cfg(test)]
mod usage;
#[cfg(test)]
mod verifying;
#[cfg(test)]
mod webhook_configuration;
#[cfg(test)]
mod webhook_delivery;
#[cfg(test)]
mod webhook_faults;
#[cfg(test)]
mod webhook_settings;
#[cfg(test)]
mod webhooks;
