//! What the page says when a form did not connect: in words, and beside the fields that it is about.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use gateway::sessions::SessionForms;
use gateway::{FieldError, GatewayError, StoreError};
use registry::{ConnectForm, Field};

use super::form::{FieldView, FormPage};
use super::request::PageRequest;
use super::view::Event;
use crate::language::Language;
use crate::texts::{TextWithLanguage, fill};

/// Why a form did not connect.
pub(super) struct FormError {
    pub(super) status: StatusCode,
    /// Seconds until the next attempt may succeed.
    pub(super) retry_after: Option<u64>,
    /// What happened, in a sentence; `None` if the fields say all.
    pub(super) sentence: Option<String>,
    /// Details in English.
    pub(super) detail: Option<TextWithLanguage>,
    /// The errors of fields, by name.
    pub(super) fields: BTreeMap<String, TextWithLanguage>,
    /// The type of the error for the embedding page, as in Nango's front-end library.
    kind: &'static str,
}

impl FormError {
    fn new(status: StatusCode, kind: &'static str, sentence: String) -> Self {
        Self {
            status,
            retry_after: None,
            sentence: Some(sentence),
            detail: None,
            fields: BTreeMap::new(),
            kind,
        }
    }

    /// Returns what to say of an error. An error that is not about the form is returned as it is.
    pub(super) fn of(
        error: GatewayError,
        request: &PageRequest<'_>,
        forms: &SessionForms,
        page: &FormPage<'_>,
    ) -> Result<Self, GatewayError> {
        let t = request.texts;
        let named = |text: &str| fill(text, "provider", &forms.integration.display_name);
        let detail = |text: &str| Some(TextWithLanguage::new(None, text, request.language));
        Ok(match error {
            GatewayError::ConnectionInvalid(errors) => Self::of_fields(&errors, request, forms, page),
            GatewayError::CredentialsRefused(refusal) => Self {
                detail: detail(&refusal.message),
                ..Self::new(
                    StatusCode::BAD_REQUEST,
                    "connection_test_failed",
                    named(&t.refused),
                )
            },
            GatewayError::ProviderUnavailable { message, retry_after } => Self {
                detail: detail(&message),
                retry_after: Some(retry_after.as_secs().max(1)),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unknown_error",
                    named(&t.unavailable),
                )
            },
            GatewayError::Uncallable(message) => Self {
                detail: detail(&message),
                ..Self::new(
                    StatusCode::BAD_REQUEST,
                    "connection_validation_failed",
                    named(&t.uncallable),
                )
            },
            GatewayError::TooManyAttempts { retry_after, .. } => {
                let seconds = retry_after.as_secs().max(1);
                let sentence = fill(&t.wait, "seconds", &seconds.to_string());
                Self {
                    retry_after: Some(seconds),
                    ..Self::new(StatusCode::TOO_MANY_REQUESTS, "unknown_error", sentence)
                }
            }
            GatewayError::Capped(_) => {
                Self::new(StatusCode::BAD_REQUEST, "resource_capped", t.capped.clone())
            }
            GatewayError::ChangedMeanwhile => {
                Self::new(StatusCode::CONFLICT, "unknown_error", t.changed.clone())
            }
            GatewayError::Store(StoreError::Unavailable(_) | StoreError::Busy(_)) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unknown_error",
                t.not_stored.clone(),
            ),
            other => return Err(other),
        })
    }

    fn of_fields(
        errors: &[FieldError],
        request: &PageRequest<'_>,
        forms: &SessionForms,
        page: &FormPage<'_>,
    ) -> Self {
        let name = forms.integration.display_name.as_str();
        let sentence = fill(&request.texts.uncallable, "provider", name);
        let mut of_form = Self::new(StatusCode::BAD_REQUEST, "connection_validation_failed", sentence);
        let mut others = Vec::new();
        let form = forms.forms.get(page.form());
        for error in errors {
            let name = error.path.last().map(String::as_str).unwrap_or_default();
            let name = form.and_then(|form| field_for(form, name)).unwrap_or(name);
            let field = form.and_then(|form| form.fields.get(name));
            if let Some((view, field)) = page.field(name).zip(field) {
                let text = explain(error, request, view, field);
                of_form.fields.insert(name.to_owned(), text);
            } else {
                // The session set this value, or the form does not ask for it.
                others.push(format!("{} {}", error.path.join("."), error.message));
            }
        }
        if others.is_empty() {
            of_form.sentence = None;
        } else {
            let text = others.join("; ");
            of_form.detail = Some(TextWithLanguage::new(None, &text, request.language));
        }
        of_form
    }

    /// Returns the event for the embedding page.
    pub(super) fn event(&self) -> Event {
        let detail = self.detail.as_ref().map(|detail| detail.text.as_str());
        let texts = self.fields.values().map(|error| error.text.as_str());
        let texts: Vec<&str> = detail
            .or(self.sentence.as_deref())
            .into_iter()
            .chain(texts)
            .collect();
        Event::Error {
            kind: self.kind,
            message: texts.join(" "),
        }
    }
}

/// Returns the field of the form that has this name, or else the one that gives the configuration of this name.
fn field_for<'f>(form: &'f ConnectForm, name: &'f str) -> Option<&'f str> {
    if form.fields.contains_key(name) {
        return Some(name);
    }
    form.connection_config.get(name)?.only_placeholder()
}

/// Says what is wrong with a field, in the page's language.
fn explain(
    error: &FieldError,
    request: &PageRequest<'_>,
    view: &FieldView,
    field: &Field,
) -> TextWithLanguage {
    let t = request.texts;
    let named = |text: &str| TextWithLanguage::plain(fill(text, "field", &view.label.text));
    if error.code == "missing" {
        return named(&t.required);
    }
    let is_other = |fixed: &String| {
        request
            .typed(&view.name)
            .is_some_and(|typed| typed.trim() != fixed)
    };
    if view.fixed.as_ref().is_some_and(is_other) {
        return TextWithLanguage::plain(t.other_account.as_str());
    }
    if !field.allowed.is_empty() {
        return named(&fill(&t.must_be_one_of, "values", &field.allowed.join(", ")));
    }
    let is_english = request.language == Language::En;
    let rule = if is_english {
        field.pattern_description.as_deref()
    } else {
        let texts = field.translations.get(request.language.tag());
        texts.and_then(|texts| texts.pattern_description.as_deref())
    };
    match rule {
        // The page shows the example beside the field, so the sentence does not repeat it.
        Some(rule) if field.format.is_none() => named(&fill(&t.must_be, "rule", rule)),
        _ if is_english => TextWithLanguage::plain(format!("{} {}.", view.label.text, error.message)),
        _ => named(&t.wrong_form),
    }
}
