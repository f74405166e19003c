//! `key`: generates keys, rotates the encryption key while servers run, and deletes the data of a lost one.

use domain::{Clock, EnvironmentName};
use gateway::{Gateway, LostKeys, Rotation, SealedCount, encryption};
use indicatif::{ProgressBar, ProgressStyle};
use secrecy::ExposeSecret;
use vault::{EncryptionKey, api_key};

use crate::commands::confirm::confirm;
use crate::config::Config;
use crate::wiring::{self, COMMAND, Migrate};
use crate::{output, terminal};

/// Prints new keys as lines for an `.env` file.
pub(crate) fn generate() -> anyhow::Result<()> {
    let environment: EnvironmentName = wiring::FIRST_ENVIRONMENT.parse()?;
    output::line(format_args!(
        "TRUNKLINE_ENCRYPTION_KEY={}",
        EncryptionKey::generate().to_base64().expose_secret()
    ))?;
    output::line(format_args!(
        "TRUNKLINE_SECRET_KEY={}",
        api_key::generate(&environment).expose_secret()
    ))?;
    output::note(
        "Keep both: the first encrypts the credentials in the database, the second is your first API key.",
    );
    Ok(())
}

/// Encrypts all credentials with the current key. If there is a key file, it first gets a new key.
pub(crate) async fn rotate(config: &Config) -> anyhow::Result<()> {
    let file = match &config.encryption_key {
        Some(_) => None,
        None => Some(wiring::encryption_key_file(config)?),
    };
    let gateway = wiring::gateway(COMMAND, config, Migrate::No).await?;
    let key = encryption::rotate(&gateway).await?;
    if file.is_some() && !key.made {
        output::note("Continuing a rotation that was cut off.");
    }
    let done = reseal(&gateway).await?;
    output::sentence(format_args!(
        "{} credentials are encrypted again with the key {}.",
        done.sealed, key.id
    ))?;
    output::note(match file {
        Some(file) => format!(
            "Back up {} now. Its first line is the current key. The lines below it are only needed to open older backups of the \
             database.",
            file.path().display()
        ),
        None => "The other keys in TRUNKLINE_ENCRYPTION_KEY are only needed to open older backups of the database: remove them \
                 once every process was started with the first one."
            .to_owned(),
    });
    Ok(())
}

/// Deletes the data that lost keys encrypted, once the user confirms.
pub(crate) async fn forget(config: &Config, yes: bool) -> anyhow::Result<()> {
    wiring::require_database(config)?;
    let (store, source) = (
        wiring::store(COMMAND, config).await?,
        wiring::encryption_keys(config)?,
    );
    wiring::require_current_tables(&store).await?;
    let lost = LostKeys::find(&store, &source).await?;
    if lost.sealed_by_key().is_empty() {
        return output::sentence(format_args!(
            "No encryption key is lost: {source} decrypts all stored credentials."
        ));
    }
    let mut keys: Vec<_> = lost.sealed_by_key().iter().collect();
    // Keys that seal nothing any more come last.
    keys.sort_by_key(|(_, sealed)| **sealed == SealedCount::default());
    for (id, sealed) in keys {
        output::note(format_args!(
            "The encryption key {id} is lost. It encrypted the credentials of {}, with the secret fields of their configuration{}.",
            counted(sealed.connections, "connection"),
            match sealed.integrations {
                0 => String::new(),
                count => format!(", and the secret fields of {}", counted(count, "integration")),
            }
        ));
    }
    let question = format!(
        "Delete them for good? {} will need new credentials; records are kept.",
        counted(lost.connections(), "connection")
    );
    confirm(yes, &question)?;
    let forgotten = lost.forget(&store, &source, &Clock::system()).await?;
    output::sentence(format_args!(
        "Deleted: the credentials of {}.",
        counted(forgotten.connections, "connection")
    ))?;
    for integration in &forgotten.integrations {
        output::line(format_args!(
            "Deleted: the secret fields of the integration {integration}. Set them again with PATCH /integrations/{integration}."
        ))?;
    }
    output::note(
        "Servers and workers can start again. `trunkline connections` shows which connections need new credentials: connect them \
         again with the same ids, or send new credentials with PATCH /connections/{connection_id}.",
    );
    Ok(())
}

fn counted(count: impl std::fmt::Display, what: &str) -> String {
    let count = count.to_string();
    let ending = if count == "1" { "" } else { "s" };
    format!("{count} {what}{ending}")
}

async fn reseal(gateway: &Gateway) -> anyhow::Result<Rotation> {
    let style =
        ProgressStyle::with_template("{spinner} {human_pos} credentials encrypted, {per_sec} ({elapsed})")?;
    let bar = if terminal::can_show_progress() {
        ProgressBar::new_spinner().with_style(style)
    } else {
        ProgressBar::hidden()
    };
    let done = encryption::reseal(gateway, |done| bar.set_position(done.sealed)).await;
    bar.finish_and_clear();
    Ok(done?)
}
