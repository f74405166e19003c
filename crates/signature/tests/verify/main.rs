//! Verifies requests by the built-in provider files: published vectors, vectors of official SDKs, and altered requests.

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod genuine;
#[cfg(test)]
mod independent;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod sent;
#[cfg(test)]
mod twilio;
#[cfg(test)]
mod vectors;
