//! The form of an integration, as the provider's file describes it.

use std::collections::BTreeMap;

use askama::Template;
use gateway::ConnectSession;
use gateway::sessions::SessionForms;
use registry::{ConnectForm, Field, FieldTexts};
use serde_json::Value as Json;

use super::form_error::FormError;
use super::request::{FIELD, FORM, INTEGRATION, PageRequest, web_address};
use super::view::{Event, Layout};
use crate::texts::{TextWithLanguage, Texts, fill};

/// The page with a form.
#[derive(Template)]
#[template(path = "connect/form.html")]
pub(super) struct FormPage<'a> {
    layout: Layout<'a>,
    t: &'a Texts,
    logo: String,
    /// The sentence about the connection that is renewed.
    renewing: Option<String>,
    notice: Option<TextWithLanguage>,
    /// The address and the text of a link to instructions.
    instructions: Option<(String, String)>,
    /// The address of the list; `None` if there is no other integration.
    back: Option<String>,
    action: String,
    hidden: Vec<(&'static str, String)>,
    form: usize,
    choices: Vec<FormChoice>,
    fields: Vec<FieldView>,
    error: Option<FormError>,
    checking: String,
    encrypted: String,
    submit: &'a str,
}

/// A form of the provider, as a choice.
struct FormChoice {
    title: TextWithLanguage,
    href: String,
    chosen: bool,
}

/// A field of the form.
pub(super) struct FieldView {
    /// The field's name in the provider's file.
    pub(super) name: String,
    /// Its label.
    pub(super) label: TextWithLanguage,
    /// The value that it has in the connection that is renewed, which cannot change.
    pub(super) fixed: Option<String>,
    id: String,
    input: String,
    description: Option<TextWithLanguage>,
    example: Option<String>,
    condition: Option<Condition>,
    value: String,
    values: Vec<(String, bool)>,
    prefix: Option<String>,
    suffix: Option<String>,
    secret: bool,
    required: bool,
    optional: bool,
    error: Option<TextWithLanguage>,
    show: String,
    hide: String,
}

/// The field is needed only while another one has one of these values.
struct Condition {
    input: String,
    /// The values, as JSON.
    values: String,
    sentence: String,
}

impl FieldView {
    fn new(
        request: &PageRequest<'_>,
        form: &ConnectForm,
        known: &BTreeMap<String, String>,
        name: &str,
        field: &Field,
    ) -> Self {
        let t = request.texts;
        let label = label(name, field, request);
        let fixed = known.get(name).cloned();
        let value = fixed
            .as_deref()
            .or(request.typed(name))
            .or(field.default_value.as_deref());
        let value = value.filter(|_| !field.secret).unwrap_or_default().to_owned();
        let allowed = field.allowed.iter().filter(|_| fixed.is_none());
        let example = field
            .example
            .as_deref()
            .filter(|_| !field.secret && fixed.is_none());
        Self {
            name: name.to_owned(),
            id: format!("field-{}", name.replace('.', "-")),
            input: format!("{FIELD}{name}"),
            description: field.description.as_deref().map(|english| {
                let text = texts(field, request).and_then(|texts| texts.description.as_deref());
                TextWithLanguage::new(text, english, request.language)
            }),
            example: example.map(|example| fill(&t.example, "example", example)),
            condition: condition(request, form, field),
            values: allowed
                .map(|allowed| (allowed.clone(), *allowed == value))
                .collect(),
            value,
            prefix: field.prefix.clone(),
            suffix: field.suffix.clone(),
            secret: field.secret,
            required: field.required(),
            optional: field.optional || field.default_value.is_some(),
            fixed,
            error: None,
            show: fill(&t.show_of, "field", &label.text),
            hide: fill(&t.hide_of, "field", &label.text),
            label,
        }
    }

    /// Returns the ids of the elements that describe the input.
    fn described_by(&self) -> String {
        let parts = [
            (self.error.is_some(), "error"),
            (self.description.is_some(), "help"),
            (self.prefix.is_some(), "prefix"),
            (self.suffix.is_some(), "suffix"),
            (self.example.is_some(), "example"),
            (self.condition.is_some(), "condition"),
        ];
        let ids = parts.into_iter().filter(|(is_there, _)| *is_there);
        let ids: Vec<String> = ids.map(|(_, part)| format!("{}-{part}", self.id)).collect();
        ids.join(" ")
    }
}

impl<'a> FormPage<'a> {
    /// Makes the page of the form that the request names. `has_list` says whether there is a list of integrations to go back to.
    pub(super) fn new(
        request: &'a PageRequest<'_>,
        session: &ConnectSession,
        forms: &SessionForms,
        has_list: bool,
    ) -> Self {
        let (t, integration, provider) = (request.texts, &forms.integration, &forms.integration.provider);
        let key = integration.key.as_str();
        let chosen = request.form().min(forms.forms.len().saturating_sub(1));
        let named = |text: &str| fill(text, "provider", &integration.display_name);
        let (title, submit) = match &forms.renewed {
            Some(_) => (named(&t.reconnect_to), &t.submit_again),
            None => (named(&t.connect_to), &t.submit),
        };
        let renewing = forms.renewed.as_ref();
        let renewing =
            renewing.map(|connection| fill(&t.reconnecting, "connection", connection.name.as_str()));
        let choices = forms.forms.iter().enumerate().map(|(index, form)| {
            let translated = form.translations.get(request.language.tag());
            let translated = translated.and_then(|texts| texts.title.as_deref());
            FormChoice {
                title: TextWithLanguage::new(translated, &form.title, request.language),
                href: request.link(&[(INTEGRATION, key), (FORM, &index.to_string())]),
                chosen: index == chosen,
            }
        });
        let mut hidden = request.passed_on();
        hidden.push((INTEGRATION, key.to_owned()));
        hidden.push((FORM, chosen.to_string()));
        let fields = forms.forms.get(chosen).map(|form| {
            let known = forms.known_values(form);
            let asked = form.fields.iter().filter(|(_, field)| !field.hidden);
            asked
                .map(|(name, field)| FieldView::new(request, form, &known, name, field))
                .collect()
        });
        Self {
            layout: Layout::new(request, title),
            t,
            logo: request.logo(provider.name.as_str()),
            renewing,
            notice: provider.notice.as_deref().map(|english| {
                let translated = provider.translations.get(request.language.tag());
                let translated = translated.and_then(|texts| texts.notice.as_deref());
                TextWithLanguage::new(translated, english, request.language)
            }),
            instructions: instructions(request, session, forms),
            back: has_list.then(|| request.link(&[])),
            action: request.action(),
            hidden,
            form: chosen,
            choices: choices.collect(),
            fields: fields.unwrap_or_default(),
            error: None,
            checking: named(&t.checking),
            encrypted: named(&t.encrypted),
            submit,
        }
    }

    /// Returns the number of the form.
    pub(super) fn form(&self) -> usize {
        self.form
    }

    /// Returns the field of that name.
    pub(super) fn field(&self, name: &str) -> Option<&FieldView> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Shows what went wrong, each error beside its field.
    pub(super) fn show_error(&mut self, mut error: FormError) {
        self.layout.event = Some(error.event());
        for field in &mut self.fields {
            field.error = error.fields.remove(&field.name);
        }
        self.error = Some(error);
    }

    /// Returns each input's id with its error.
    fn errors(&self) -> impl Iterator<Item = (&str, &TextWithLanguage)> {
        let fields = self.fields.iter();
        fields.filter_map(|field| Some((field.id.as_str(), field.error.as_ref()?)))
    }
}

/// Returns the link to instructions: the session's, or else the documentation that the provider's file names.
fn instructions(
    request: &PageRequest<'_>,
    session: &ConnectSession,
    forms: &SessionForms,
) -> Option<(String, String)> {
    let (t, integration) = (request.texts, &forms.integration);
    let own = session.overrides.get(integration.key.as_str());
    let own = own.and_then(|own| own.get("docs_connect")).and_then(Json::as_str);
    if let Some(address) = own.and_then(web_address) {
        return Some((address, t.instructions.clone()));
    }
    let address = integration.provider.docs.as_deref().and_then(web_address)?;
    Some((
        address,
        fill(&t.documentation, "provider", &integration.display_name),
    ))
}

/// Returns the field's texts in the page's language.
fn texts<'f>(field: &'f Field, request: &PageRequest<'_>) -> Option<&'f FieldTexts> {
    field.translations.get(request.language.tag())
}

/// Returns the label of a field, in the page's language.
fn label(name: &str, field: &Field, request: &PageRequest<'_>) -> TextWithLanguage {
    let translated = texts(field, request).and_then(|texts| texts.title.as_deref());
    match (translated, &field.title) {
        (None, None) => TextWithLanguage::plain(name),
        (translated, english) => {
            TextWithLanguage::new(translated, english.as_deref().unwrap_or(name), request.language)
        }
    }
}

fn condition(request: &PageRequest<'_>, form: &ConnectForm, field: &Field) -> Option<Condition> {
    let when = field.visible_when.as_ref()?;
    let other = form.fields.get(&when.field);
    let other = other.map_or_else(
        || when.field.clone(),
        |field| label(&when.field, field, request).text,
    );
    let sentence = fill(&request.texts.only_if, "field", &other);
    Some(Condition {
        input: format!("{FIELD}{}", when.field),
        values: serde_json::json!(when.equals).to_string(),
        sentence: fill(&sentence, "values", &when.equals.join(", ")),
    })
}
