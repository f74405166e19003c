//! Examples for `--help`. They name the provider that the demo shows, which no other code does.

/// Of the program.
pub(crate) const PROGRAM: &str = "\
Examples:
  trunkline demo                                     everything in a minute, without an account
  trunkline serve                                    http://127.0.0.1:3003, on SQLite
  trunkline connect twilio --connection-id acme      asks for the credentials, or takes TWILIO_…
  trunkline sync trigger twilio --wait               with a progress bar
  trunkline records twilio messages --connection-id acme --filter status=failed

A setting comes from trunkline.toml, a variable TRUNKLINE_…, or a flag: `trunkline config` lists them all.";

/// Of `connect`.
pub(crate) const CONNECT: &str = "\
Fields come from --field, else from the variables that the provider file names, else they are asked for.

Examples:
  trunkline connect twilio
  TWILIO_ACCOUNT_SID=AC… TWILIO_AUTH_TOKEN=… trunkline connect twilio --connection-id acme
  trunkline connect twilio --field accountSid=AC… --metadata '{\"plan\": \"gold\"}'";

/// Of `records`.
pub(crate) const RECORDS: &str = "\
Examples:
  trunkline records twilio messages --connection-id acme
  trunkline records twilio messages --connection-id acme --filter status=failed --after 2026-11-01T00:00:00Z
  trunkline records twilio messages --connection-id acme --csv > messages.csv";
