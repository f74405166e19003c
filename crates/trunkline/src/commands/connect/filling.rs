//! The values that flags, files and variables give for a provider's forms.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::Context;

use super::{field_names, questions};
use crate::cli::Connect;
use crate::client::{ConnectForm, ConnectForms, FormField};
use crate::config::Environment;
use crate::usage::UsageError;
use crate::{output, suggest};

/// The most bytes of a field that are read from a file. The gateway accepts less.
const LONGEST: u64 = 64 * 1024;

/// The values of flags, files and variables for the fields of forms.
pub(super) struct Filling<'a> {
    forms: &'a ConnectForms,
    given: BTreeMap<String, String>,
    environment: &'a Environment,
}

impl<'a> Filling<'a> {
    /// Reads flags and files. Fails if no form has a field of that name.
    pub(super) fn new(
        forms: &'a ConnectForms,
        options: &Connect,
        environment: &'a Environment,
    ) -> anyhow::Result<Self> {
        let mut given = BTreeMap::new();
        for (name, value) in &options.fields {
            given.insert(name.clone(), value.trim().to_owned());
        }
        for (name, path) in &options.field_files {
            given.insert(name.clone(), from_file(path)?);
        }
        let known = field_names(forms);
        if let Some(name) = given.keys().find(|name| !known.contains(&name.as_str())) {
            let problem = format!("{} has no field", forms.display_name);
            return Err(suggest::unknown(&problem, name, "its forms take", &known));
        }
        let mut fields = forms.forms.iter().flat_map(|form| &form.fields);
        let on_command_line = |field: &&FormField| options.fields.iter().any(|(name, _)| *name == field.name);
        if let Some(field) = fields.find(|field| field.secret && on_command_line(field)) {
            let variable = field.variable().map(|name| format!(" or the variable {name}"));
            output::note(format_args!(
                "warning: {0} is a secret, and other users of this machine can see it on the command line: use --field-file {0}=-{1}",
                field.name,
                variable.unwrap_or_default()
            ));
        }
        Ok(Self {
            forms,
            given,
            environment,
        })
    }

    /// Returns the value that a flag, a file or a variable gives for a field.
    fn value(&self, field: &FormField) -> Option<&str> {
        let given = self.given.get(&field.name).map(String::as_str);
        let variable = || self.environment.get(field.variable()?).map(str::trim);
        given.or_else(variable).filter(|value| !value.is_empty())
    }

    /// Returns all values for a form.
    pub(super) fn values(&self, form: &ConnectForm) -> BTreeMap<String, String> {
        let fields = form.fields.iter();
        fields
            .filter_map(|field| Some((field.name.clone(), self.value(field)?.to_owned())))
            .collect()
    }

    /// Returns the form that is complete, or that the user chooses. A flag says more than a variable, which may serve something else: if
    /// there are forms with all the flags, only those count.
    pub(super) fn form(&self, ask: bool) -> anyhow::Result<&'a ConnectForm> {
        let has = |form: &ConnectForm, name: &String| form.fields.iter().any(|field| field.name == *name);
        let all = || self.forms.forms.iter();
        let mut forms: Vec<&ConnectForm> = all()
            .filter(|form| self.given.keys().all(|name| has(form, name)))
            .collect();
        if forms.is_empty() {
            forms = all().collect();
        }
        let complete = |form: &&&ConnectForm| questions::missing(form, &self.values(form)).is_empty();
        if let Some(form) = forms.iter().find(complete) {
            return Ok(form);
        }
        if !ask {
            return Err(UsageError(self.explain(&forms)).into());
        }
        questions::choose(&self.forms.display_name, &forms)
    }

    /// Says which variables are used, since the gateway named them and they leave this machine.
    pub(super) fn note_variables(&self, form: &ConnectForm) {
        let taken: Vec<&str> = form
            .fields
            .iter()
            .filter(|field| !self.given.contains_key(&field.name) && self.value(field).is_some())
            .filter_map(FormField::variable)
            .collect();
        if !taken.is_empty() {
            output::note(format_args!("From environment variables: {}", taken.join(", ")));
        }
    }

    /// Lists the missing fields of each form, with their flags and variables.
    fn explain(&self, forms: &[&ConnectForm]) -> String {
        let mut text = format!(
            "{} needs more fields to be connected, and there is no terminal to ask on: give them as shown here.",
            self.forms.display_name
        );
        for form in forms {
            let values = self.values(form);
            let missing = questions::missing(form, &values);
            let fields: Vec<String> = missing.iter().map(|field| source(field)).collect();
            text = format!("{text}\n  {}: {}", form.title, fields.join(", "));
        }
        text
    }
}

/// Says how to give a field.
fn source(field: &FormField) -> String {
    let flag = if field.secret {
        format!("--field-file {}=FILE", field.name)
    } else {
        format!("--field {}=…", field.name)
    };
    match field.variable() {
        Some(variable) => format!("{variable} (or {flag})"),
        None => flag,
    }
}

/// Reads a file, or standard input for `-`, and trims the text.
fn from_file(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(LONGEST).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command, OverApi};

    fn forms() -> ConnectForms {
        let field = |name: &str, secret: bool, env: Option<&str>| {
            serde_json::json!({ "name": name, "title": null, "description": null, "example": null, "required": true,
                "secret": secret, "hidden": false, "visible_when": null, "env": env })
        };
        let account = field("accountSid", false, Some("ACME_ACCOUNT"));
        let json = serde_json::json!({ "display_name": "Acme", "forms": [
            { "title": "API key", "fields": [account, field("keySecret", true, Some("ACME_KEY_SECRET"))] },
            { "title": "Token", "fields": [account, field("authToken", true, Some("TRUNKLINE_SECRET_KEY"))] },
        ] });
        serde_json::from_value(json).unwrap()
    }

    fn fill(flags: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<BTreeMap<String, String>> {
        let line = ["trunkline", "connect", "acme"].iter().chain(flags);
        let Command::OverApi(OverApi::Connect(options)) = Cli::try_parse_from(line)?.command else {
            unreachable!()
        };
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let (forms, environment) = (forms(), Environment::of(variables));
        let filling = Filling::new(&forms, &options, &environment)?;
        let form = filling.form(false)?;
        Ok(filling.values(form))
    }

    #[test]
    fn variables_complete_a_form_that_a_flag_may_select() {
        let variables = [("ACME_ACCOUNT", "AC1"), ("ACME_KEY_SECRET", " s ")];
        let values = fill(&[], &variables).unwrap();
        assert_eq!(values.keys().collect::<Vec<_>>(), ["accountSid", "keySecret"]);
        assert_eq!(values["keySecret"], "s");
        let values = fill(&["--field", "authToken=t"], &variables).unwrap();
        assert_eq!(values.keys().collect::<Vec<_>>(), ["accountSid", "authToken"]);
    }

    #[test]
    fn a_field_from_a_file_is_trimmed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "from a file\n").unwrap();
        let flag = format!("keySecret={}", path.display());
        let values = fill(&["--field", "accountSid=AC1", "--field-file", &flag], &[]).unwrap();
        assert_eq!(values["keySecret"], "from a file");
    }

    #[test]
    fn a_missing_field_is_named_with_its_flags_and_variables() {
        let error = fill(&["--field", "accountSid=AC1"], &[]).unwrap_err().to_string();
        assert!(
            error.contains("ACME_KEY_SECRET (or --field-file keySecret=FILE)"),
            "{error}"
        );
        assert!(!error.contains("ACME_ACCOUNT"), "{error}");
        let error = fill(&["--field", "acountSid=x"], &[]).unwrap_err().to_string();
        assert!(error.contains("did you mean accountSid?"), "{error}");
    }

    #[test]
    fn a_gateway_gets_no_variable_of_this_program() {
        let variables = [("ACME_ACCOUNT", "AC1"), ("TRUNKLINE_SECRET_KEY", "geheim")];
        let error = fill(&[], &variables).unwrap_err().to_string();
        assert!(
            error.contains("--field-file authToken=FILE") && !error.contains("TRUNKLINE_"),
            "{error}"
        );
    }
}
