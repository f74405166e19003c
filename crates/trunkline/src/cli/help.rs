//! The first page of help, and examples. They name the provider that the demo shows, which no other code does.

/// What stands above the options on the first page of help. Commands in groups, as people look for them.
const GROUPS: &str = "\
{about}

{usage-heading} {usage}

Run it:
  serve         Serve the API and run syncs
  worker        Run syncs only, beside any number of other processes
";
#[cfg(feature = "demo")]
const DEMO: &str = "  demo          See it work: a simulated account, connected and synced\n";
const REST: &str = "
Look after it:
  migrate       Bring the database's tables up to date
  providers     List the providers, or check a provider file
  environments  List, create and delete environments
  api-keys      List, create and revoke the API keys of an environment
  key           Generate keys, or rotate the encryption key
  config        Show the configuration and where each value comes from
  health        Check whether a gateway is up

Use it (over its API, with TRUNKLINE_SECRET_KEY):
  connect       Connect an account of a provider
  connections   List, show and delete connections
  sync          Show, trigger, pause and start syncs
  records       Read synced records
  action        Run an action of a provider, or list its actions

Learn about it:
  help          Show the help of a command
  version       Show the version
  completion    Print a completion script for a shell

Options:
{options}{after-help}";

/// The template of the first page.
pub(super) fn template() -> String {
    #[cfg(feature = "demo")]
    return [GROUPS, DEMO, REST].concat();
    #[cfg(not(feature = "demo"))]
    [GROUPS, REST].concat()
}

/// Of the program.
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

Exit status: 0 success, 1 failure, 2 wrong usage, configuration or provider
file, 130 stopped by Ctrl-C.";

/// Of `connect`.
pub(super) const CONNECT: &str = "\
The gateway says which fields the provider needs. A field comes from --field or
--field-file, else from the environment variable that the provider file names,
else the command asks for it. Other users of this machine can see what --field
holds: give secrets by a variable, by --field-file, or when asked.

Examples:
  trunkline connect twilio
  trunkline connect twilio --connection-id acme --field accountSid=AC…
  pass show twilio | trunkline connect twilio --field-file authToken=-";

/// Of `records`.
pub(super) const RECORDS: &str = "\
--after and --before compare the first time column by which the model is
ordered, such as date_sent.

Examples:
  trunkline records twilio messages --connection-id acme
  trunkline records twilio messages --connection-id acme --filter status=failed
  trunkline records twilio messages --connection-id acme --columns sid,body
  trunkline records twilio messages --connection-id acme --csv > messages.csv";
