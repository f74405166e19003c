//! Examples for `--help`. They name the provider of the demo, which no other code does.

/// The examples of the program.
pub(super) const PROGRAM: &str = "\
Examples:
  trunkline serve
  trunkline connect twilio --connection-id acme
  trunkline sync trigger twilio --wait
  trunkline records twilio messages --connection-id acme --filter status=failed

Settings come from trunkline.toml, then TRUNKLINE_… variables, then flags:
`trunkline config` lists them.

Tables fit the terminal. In a pipe they are tab-separated values with every
column; --json prints JSON. NO_COLOR turns bold text and colours off.

Exit status: 0 success; 1 failure, or what the command checks is wrong; 2 wrong
arguments or settings, nothing was done; 130 stopped by Ctrl-C.";

/// The examples of `connect`.
pub(super) const CONNECT: &str = "\
The gateway says which fields the provider needs. The command takes a field from
--field or --field-file, else from the environment variable that the provider
file names, else it asks. Other users of this machine can see the value of
--field: give secrets in a variable, with --field-file, or when asked.

Examples:
  trunkline connect twilio
  trunkline connect twilio --connection-id acme --field accountSid=AC…
  pass show twilio | trunkline connect twilio --field-file authToken=-";

/// The examples of `records`.
pub(super) const RECORDS: &str = "\
--after and --before compare the time column that orders the model, such as
date_sent.

Examples:
  trunkline records twilio messages --connection-id acme
  trunkline records twilio messages --connection-id acme --filter status=failed
  trunkline records twilio messages --connection-id acme --columns sid,body
  trunkline records twilio messages --connection-id acme --csv > messages.csv";

/// The examples of `webhooks`.
pub(super) const WEBHOOKS: &str = "\
Examples:
  trunkline webhooks create https://app.acme.example/hooks --events 'sync.*'
  trunkline webhooks example we_… sync.succeeded
  trunkline webhooks deliveries --status failed
  trunkline webhooks replay we_… --failed --since 2h
  trunkline webhooks listen --forward-to http://localhost:4000/hook";

/// The examples of `webhooks listen`.
pub(super) const LISTEN: &str = "\
Examples:
  trunkline webhooks listen --forward-to http://localhost:4000/hook
  trunkline webhooks listen --forward-to localhost:4000 --events sync.failed";
