//! Asks the user for the fields of a form: questions on standard error, secrets without echo.

use std::collections::BTreeMap;

use anyhow::Context;
use dialoguer::{Input, Password, Select};

use crate::client::{ClientError, ConnectForm, FormField};
use crate::output;

type Values = BTreeMap<String, String>;

/// Whether the form shows the field, given the values of other fields.
fn visible(field: &FormField, values: &Values) -> bool {
    let shown = field.visible_when.as_ref().is_none_or(|when| {
        values
            .get(&when.field)
            .is_some_and(|value| when.equals.contains(value))
    });
    shown && !field.hidden
}

/// Returns the required fields that have no value.
pub(super) fn missing<'a>(form: &'a ConnectForm, values: &Values) -> Vec<&'a FormField> {
    let fields = form.fields.iter();
    fields
        .filter(|field| field.required && visible(field, values) && !values.contains_key(&field.name))
        .collect()
}

/// Lets the user choose between forms.
pub(super) fn choose<'a>(provider: &str, forms: &[&'a ConnectForm]) -> anyhow::Result<&'a ConnectForm> {
    let index = if forms.len() > 1 {
        Select::new()
            .with_prompt(format!("Connect {provider} with"))
            .items(forms.iter().map(|form| &form.title))
            .default(0)
            .interact()?
    } else {
        0
    };
    forms.get(index).copied().context("the provider has no form")
}

/// Asks for the missing fields, in order, since a value may make another field visible.
pub(super) fn ask_missing(form: &ConnectForm, values: &mut Values) -> anyhow::Result<()> {
    while let Some(field) = missing(form, values).first() {
        values.insert(field.name.clone(), ask(field)?);
    }
    Ok(())
}

/// Shows the errors of fields and asks for them again. Returns false if the error is not about fields that the user can see.
pub(super) fn ask_again(
    form: &ConnectForm,
    error: &ClientError,
    values: &mut Values,
) -> anyhow::Result<bool> {
    let refused = error.fields();
    let mut wrong = Vec::new();
    for (name, message) in &refused {
        let Some(field) = form
            .fields
            .iter()
            .find(|field| field.name == *name && !field.hidden)
        else {
            return Ok(false);
        };
        wrong.push((field, *message));
    }
    for (field, message) in &wrong {
        output::note(format_args!(
            "{} {message}",
            field.title.as_ref().unwrap_or(&field.name)
        ));
        values.insert(field.name.clone(), ask(field)?);
    }
    Ok(!wrong.is_empty())
}

fn ask(field: &FormField) -> anyhow::Result<String> {
    let title = field.title.clone().unwrap_or_else(|| field.name.clone());
    if let Some(description) = &field.description {
        output::note(format_args!("\n{description}"));
    }
    if !field.allowed.is_empty() {
        let chosen = Select::new()
            .with_prompt(title)
            .items(&field.allowed)
            .default(0)
            .interact()?;
        return Ok(field.allowed.get(chosen).cloned().unwrap_or_default());
    }
    let some = |value: &String| {
        if value.trim().is_empty() {
            Err("must not be empty")
        } else {
            Ok(())
        }
    };
    let value = if field.secret {
        Password::new()
            .with_prompt(title)
            .validate_with(some)
            .interact()?
    } else {
        let prompt = match &field.example {
            Some(example) => format!("{title} (such as {example})"),
            None => title,
        };
        Input::new()
            .with_prompt(prompt)
            .validate_with(some)
            .interact_text()?
    };
    Ok(value.trim().to_owned())
}
