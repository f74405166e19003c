//! The help of the program itself.

use clap::Command;

/// The commands in groups, which clap does not have.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Run it", &["serve", "worker", "demo"]),
    (
        "Look after it",
        &[
            "migrate",
            "providers",
            "environments",
            "api-keys",
            "key",
            "config",
            "health",
        ],
    ),
    (
        "Use it (over its API, with TRUNKLINE_SECRET_KEY)",
        &[
            "connect",
            "connections",
            "sync",
            "records",
            "action",
            "webhooks",
            "events",
        ],
    ),
    ("Learn about it", &["help", "version", "completion"]),
];

/// Lists the commands in groups in the help of `program`.
pub(super) fn grouped(program: Command) -> Command {
    let mut template = "{about}\n\n{usage-heading} {usage}\n".to_owned();
    for (title, names) in GROUPS {
        template = format!("{template}\n{title}:\n");
        for name in names {
            let about = match program.find_subcommand(name).and_then(Command::get_about) {
                Some(about) => about.to_string(),
                // Clap adds this command later.
                None if *name == "help" => "Show the help of a command".to_owned(),
                // A command that this build does not have.
                None => continue,
            };
            template = format!("{template}  {name:<12}  {about}\n");
        }
    }
    program.help_template(template + "\nOptions:\n{options}{after-help}")
}
