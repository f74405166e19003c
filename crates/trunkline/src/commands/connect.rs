//! `connect`: fills a connect form from flags, files, variables and the user's input, and sends it.

mod filling;
mod questions;

use serde_json::{Map, Value as Json, json};

use self::filling::Filling;
use crate::cli::Connect;
use crate::client::{Client, ConnectForms, response};
use crate::config::Environment;
use crate::{output, terminal};

/// Connects an account and says what to do next.
pub(crate) async fn run(client: &Client, environment: &Environment, options: &Connect) -> anyhow::Result<()> {
    let integration = options.integration.as_str();
    let forms = client.connect_forms(integration).await?;
    if let Some(notice) = &forms.notice {
        output::note(format_args!("Note: {notice}\n"));
    }
    let filling = Filling::new(&forms, options, environment)?;
    let form = filling.form(terminal::can_ask())?;
    let mut values = filling.values(form);
    if terminal::can_ask() {
        questions::ask_missing(form, &mut values)?;
    }
    filling.note_variables(form);
    let response = loop {
        let mut body: Map<String, Json> = values
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        let id = options.connection_id.iter();
        body.extend(id.map(|id| ("connectionId".to_owned(), json!(id))));
        let metadata = options.metadata.iter();
        body.extend(metadata.map(|metadata| ("metadata".to_owned(), metadata.clone())));
        match client.post(&[integration, "connect"], &body.into(), &[]).await {
            // The user sees the errors of fields and can correct them.
            Err(error) if terminal::can_ask() && questions::ask_again(form, &error, &mut values)? => {}
            response => break response?,
        }
    };
    if options.api.json {
        return output::json(&response);
    }
    show(client, integration, &response).await
}

/// Shows the success and what to do next.
async fn show(client: &Client, integration: &str, response: &Json) -> anyhow::Result<()> {
    let id = response::text(response, "/connection/id");
    output::sentence(format_args!("{}: {id}", response::text(response, "/message")))?;
    for unreadable in response::list(response, "unreadable_syncs") {
        output::note(format_args!(
            "warning: {}",
            response::text(unreadable, "/message")
        ));
    }
    // Without permission to list syncs, only the hint is missing.
    let functions = client.functions(integration).await.unwrap_or_default();
    let Some(table) = functions.iter().find_map(|function| function.table.as_ref()) else {
        return Ok(());
    };
    output::verbatim_note(format_args!(
        "\nIts first sync has started. Next:\n  trunkline sync status {integration} --watch\n  \
         trunkline records {integration} {} --connection-id '{id}'",
        table.plural
    ));
    Ok(())
}

/// Returns the names of all visible fields of all forms.
fn field_names(forms: &ConnectForms) -> Vec<&str> {
    let fields = forms.forms.iter().flat_map(|form| &form.fields);
    let mut names: Vec<&str> = Vec::new();
    for field in fields.filter(|field| !field.hidden) {
        if !names.contains(&field.name.as_str()) {
            names.push(&field.name);
        }
    }
    names
}
