//! The help of the program itself.

/// The help above the options: the commands in groups, which clap does not have.
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
  key           Generate keys, rotate the encryption key, or give up a lost one
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

/// Returns the template of the help.
pub(super) fn template() -> String {
    #[cfg(feature = "demo")]
    return [GROUPS, DEMO, REST].concat();
    #[cfg(not(feature = "demo"))]
    [GROUPS, REST].concat()
}
