//! Texts of a file in other languages than English, for the page on which end users connect.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::source::Report;

/// Translations by language, such as `de`.
pub type Translations<T> = IndexMap<String, T>;

/// The texts of a field in another language.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct FieldTexts {
    /// The label.
    pub title: Option<String>,
    /// What it is, and where to find it.
    pub description: Option<String>,
    /// What the pattern requires, in words that follow a colon.
    pub pattern_description: Option<String>,
}

/// The texts of a form in another language.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct FormTexts {
    /// The name that users see.
    pub title: Option<String>,
}

/// The texts of a provider in another language.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct ProviderTexts {
    /// What users must know before they connect.
    pub notice: Option<String>,
}

/// Reports keys that are not language tags, and `en`.
pub(crate) fn check<T>(translations: &Translations<T>, report: &Report<'_>) {
    for language in translations.keys() {
        let report = report.at("translations").at(language);
        let is_tag =
            (2..=3).contains(&language.len()) && language.bytes().all(|byte| byte.is_ascii_lowercase());
        if language == "en" {
            report.error("must be removed: the texts beside `translations` are the English ones");
        } else if !is_tag {
            report.error("is not a language tag of two or three letters: write `de`, for example");
        }
    }
}
