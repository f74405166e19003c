//! `connect`: a provider's form filled from flags, variables or a person, and sent.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context;
use dialoguer::{Input, Password, Select};
use registry::{ConnectForm, Field, Provider};
use serde_json::{Map, Value as Json, json};

use crate::cli::Connect;
use crate::client::{Client, answer};
use crate::config::{Config, Environment};
use crate::{output, wiring};

/// Connects an account and tells how to go on.
pub(crate) async fn run(
    config: &Config,
    environment: &Environment,
    options: &Connect,
) -> anyhow::Result<ExitCode> {
    let client = Client::new(config)?;
    let registry = wiring::registry(config)?;
    let provider = registry.get(&options.provider).with_context(|| {
        let names: Vec<&str> = registry.iter().map(|provider| provider.name.as_str()).collect();
        format!(
            "there is no integration {:?}; there are: {}",
            options.provider,
            names.join(", ")
        )
    })?;
    let flags: BTreeMap<&str, &str> = options
        .fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let form = Filling::new(provider, &flags, environment)?.best(output::can_ask())?;
    let mut body: Map<String, Json> = form
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect();
    body.extend(
        options
            .connection_id
            .iter()
            .map(|id| ("connectionId".to_owned(), json!(id))),
    );
    body.extend(
        options
            .metadata
            .iter()
            .map(|metadata| ("metadata".to_owned(), metadata.clone())),
    );
    let answer = client.post(&[&options.provider, "connect"], &body.into()).await?;
    if options.api.json.json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    tell(provider, &answer)?;
    Ok(ExitCode::SUCCESS)
}

/// The success and what to do next.
fn tell(provider: &Provider, answer: &Json) -> std::io::Result<()> {
    let id = answer::text(answer, "/connection/id");
    output::line(format_args!("{}: {id}", answer::text(answer, "/message")))?;
    let notice = answer::text(answer, "/notice");
    if !notice.is_empty() {
        output::line(format_args!("\nNote: {notice}"))?;
    }
    let Some(sync) = provider.syncs.values().next() else {
        return Ok(());
    };
    let (name, plural) = (&provider.name, &sync.model.plural);
    output::line("\nIts first sync has begun. Next:")?;
    output::line(format_args!(
        "  trunkline sync status {name} --connection-id '{id}' --watch"
    ))?;
    output::line(format_args!(
        "  trunkline records {name} {plural} --connection-id '{id}'"
    ))
}

/// What is given for a provider's forms, before anybody is asked.
struct Filling<'a> {
    provider: &'a Provider,
    flags: &'a BTreeMap<&'a str, &'a str>,
    environment: &'a Environment,
}

impl<'a> Filling<'a> {
    fn new(
        provider: &'a Provider,
        flags: &'a BTreeMap<&'a str, &'a str>,
        environment: &'a Environment,
    ) -> anyhow::Result<Self> {
        for name in flags.keys() {
            let known = provider
                .connect
                .iter()
                .any(|form| form.fields.contains_key(*name));
            let fields = || {
                provider
                    .connect
                    .iter()
                    .flat_map(|form| form.fields.keys().map(String::as_str))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            anyhow::ensure!(
                known,
                "{} has no field {name:?}; its forms take: {}",
                provider.display_name,
                fields()
            );
        }
        Ok(Self {
            provider,
            flags,
            environment,
        })
    }

    /// What a flag or a variable gives for a field.
    fn given(&self, name: &str, field: &Field) -> Option<String> {
        let flag = self.flags.get(name).copied();
        let value = flag
            .or_else(|| self.environment.get(field.env.as_deref()?))?
            .trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    fn missing(&self, form: &'a ConnectForm) -> Vec<(&'a String, &'a Field)> {
        let needed = |field: &Field| field.required() && !field.hidden;
        form.fields
            .iter()
            .filter(|(name, field)| needed(field) && self.given(name, field).is_none())
            .collect()
    }

    /// The values of the form that is complete, or that somebody completes. Flags say more than variables, which may be there for
    /// something else: only forms that have all flags are looked at, if there are such.
    fn best(&self, ask: bool) -> anyhow::Result<BTreeMap<String, String>> {
        let has_flags = |form: &&ConnectForm| self.flags.keys().all(|name| form.fields.contains_key(*name));
        let mut forms: Vec<&ConnectForm> = self.provider.connect.iter().filter(has_flags).collect();
        if forms.is_empty() {
            forms = self.provider.connect.iter().collect();
        }
        if let Some(form) = forms.iter().find(|form| self.missing(form).is_empty()) {
            return Ok(self.values(form));
        }
        anyhow::ensure!(ask, "{}", self.explain(&forms));
        let form = choose(self.provider, &forms)?;
        let mut values = self.values(form);
        for (name, field) in self.missing(form) {
            values.insert(name.clone(), question(name, field)?);
        }
        Ok(values)
    }

    fn values(&self, form: &ConnectForm) -> BTreeMap<String, String> {
        form.fields
            .iter()
            .filter_map(|(name, field)| Some((name.clone(), self.given(name, field)?)))
            .collect()
    }

    /// What is missing, form by form, with the variables that would give it.
    fn explain(&self, forms: &[&ConnectForm]) -> String {
        let mut text = format!(
            "{} needs more to be connected, and nobody can be asked here.",
            self.provider.display_name
        );
        for form in forms {
            let fields = self
                .missing(form)
                .into_iter()
                .map(|(name, field)| match &field.env {
                    Some(variable) => format!("{variable} (or --field {name}=…)"),
                    None => format!("--field {name}=…"),
                });
            let fields = fields.collect::<Vec<_>>().join(", ");
            text = format!("{text}\n  {}: set {fields}", form.title);
        }
        text
    }
}

fn choose<'a>(provider: &Provider, forms: &[&'a ConnectForm]) -> anyhow::Result<&'a ConnectForm> {
    let index = if forms.len() > 1 {
        let titles = forms.iter().map(|form| &form.title);
        Select::new()
            .with_prompt(format!("Connect {} with", provider.display_name))
            .items(titles)
            .default(0)
            .interact()?
    } else {
        0
    };
    forms.get(index).copied().context("the provider has no form")
}

fn question(name: &str, field: &Field) -> anyhow::Result<String> {
    let title = field.title.clone().unwrap_or_else(|| name.to_owned());
    if let Some(description) = &field.description {
        output::note(format_args!("\n{description}"));
    }
    let check = |value: &str| field.check(value.trim());
    let value = if field.secret {
        Password::new()
            .with_prompt(title)
            .validate_with(|value: &String| check(value))
            .interact()?
    } else {
        Input::new()
            .with_prompt(title)
            .validate_with(|value: &String| check(value))
            .interact_text()?
    };
    Ok(value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(flags: &[(&str, &str)], variables: &[(&str, &str)]) -> anyhow::Result<BTreeMap<String, String>> {
        let registry = registry::Registry::builtin().unwrap();
        let provider = registry.get("twilio").unwrap();
        let environment = Environment::of(
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let flags = flags.iter().copied().collect();
        Filling::new(provider, &flags, &environment)?.best(false)
    }

    #[test]
    fn variables_complete_a_form_and_a_flag_decides_which() {
        let variables = [
            ("TWILIO_ACCOUNT_SID", "AC1"),
            ("TWILIO_API_KEY_SID", "SK1"),
            ("TWILIO_API_KEY_SECRET", " s "),
        ];
        let values = fill(&[], &variables).unwrap();
        assert_eq!(
            values.keys().collect::<Vec<_>>(),
            ["accountSid", "apiKeySecret", "apiKeySid"]
        );
        assert_eq!(values["apiKeySecret"], "s");

        let values = fill(&[("authToken", "t")], &variables).unwrap();
        assert_eq!(values.keys().collect::<Vec<_>>(), ["accountSid", "authToken"]);
    }

    #[test]
    fn what_is_missing_is_told_with_its_variables() {
        let error = fill(&[("accountSid", "AC1")], &[]).unwrap_err().to_string();
        assert!(
            error.contains("TWILIO_API_KEY_SID (or --field apiKeySid=…)"),
            "{error}"
        );
        assert!(
            error.contains("TWILIO_AUTH_TOKEN") && !error.contains("TWILIO_ACCOUNT_SID"),
            "{error}"
        );
        let error = fill(&[("user", "x")], &[]).unwrap_err().to_string();
        assert!(
            error.contains("no field \"user\"") && error.contains("authToken"),
            "{error}"
        );
    }
}
