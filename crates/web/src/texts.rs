//! The connect page's own words, in each language. `locales/` has a file for each; a missing or an unknown key is an error.

use serde::Deserialize;

use crate::language::Language;

/// The files with the texts.
const FILES: [(Language, &str); 5] = [
    (Language::En, include_str!("../locales/en.yaml")),
    (Language::De, include_str!("../locales/de.yaml")),
    (Language::Es, include_str!("../locales/es.yaml")),
    (Language::Fr, include_str!("../locales/fr.yaml")),
    (Language::Pt, include_str!("../locales/pt.yaml")),
];

/// The texts in one language. Placeholders such as `{provider}` are filled by [`fill`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Texts {
    pub(crate) connect: String,
    pub(crate) connect_to: String,
    pub(crate) reconnect_to: String,
    pub(crate) for_app: String,
    pub(crate) choose: String,
    pub(crate) search: String,
    pub(crate) search_submit: String,
    pub(crate) nothing_found: String,
    pub(crate) nothing_allowed: String,
    pub(crate) ways: String,
    pub(crate) optional: String,
    pub(crate) show: String,
    pub(crate) show_of: String,
    pub(crate) hide_of: String,
    pub(crate) hide: String,
    pub(crate) example: String,
    pub(crate) only_if: String,
    pub(crate) choose_value: String,
    pub(crate) instructions: String,
    pub(crate) documentation: String,
    pub(crate) submit: String,
    pub(crate) submit_again: String,
    pub(crate) checking: String,
    pub(crate) back: String,
    pub(crate) close: String,
    pub(crate) encrypted: String,
    pub(crate) reconnecting: String,
    pub(crate) problem: String,
    pub(crate) required: String,
    pub(crate) must_be: String,
    pub(crate) must_be_one_of: String,
    pub(crate) wrong_form: String,
    pub(crate) other_account: String,
    pub(crate) refused: String,
    pub(crate) details: String,
    pub(crate) unavailable: String,
    pub(crate) uncallable: String,
    pub(crate) not_ready: String,
    pub(crate) wait: String,
    pub(crate) capped: String,
    pub(crate) changed: String,
    pub(crate) not_stored: String,
    pub(crate) no_response: String,
    pub(crate) not_allowed_title: String,
    pub(crate) not_allowed: String,
    pub(crate) expired_title: String,
    pub(crate) expired: String,
    pub(crate) no_token_title: String,
    pub(crate) no_token: String,
    pub(crate) connected: String,
    pub(crate) reconnected: String,
    pub(crate) connected_text: String,
    pub(crate) unreadable: String,
    pub(crate) another: String,
    pub(crate) failed_title: String,
    pub(crate) failed: String,
    pub(crate) not_received: String,
}

/// Fills the placeholder `{name}` of a text.
pub(crate) fn fill(text: &str, name: &str, value: &str) -> String {
    text.replace(&format!("{{{name}}}"), value)
}

/// The texts in all languages.
#[derive(Debug)]
pub(crate) struct AllTexts(Vec<(Language, Texts)>, Texts);

impl AllTexts {
    /// Reads the files, which are built in.
    pub(crate) fn read() -> Result<Self, serde_saphyr::Error> {
        let read = |text: &str| serde_saphyr::from_str::<Texts>(text);
        let [(_, english), others @ ..] = FILES;
        let others = others.map(|(language, text)| Ok((language, read(text)?)));
        let others: Result<Vec<_>, serde_saphyr::Error> = others.into_iter().collect();
        Ok(Self(others?, read(english)?))
    }

    /// Returns the texts in a language.
    pub(crate) fn of(&self, wanted: Language) -> &Texts {
        let found = self.0.iter().find(|(language, _)| *language == wanted);
        found.map_or(&self.1, |(_, texts)| texts)
    }
}

/// A text, with its language if that is not the page's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextWithLanguage {
    pub(crate) text: String,
    pub(crate) lang: Option<&'static str>,
}

impl TextWithLanguage {
    /// Takes the translation, or else the English text.
    pub(crate) fn new(translated: Option<&str>, english: &str, language: Language) -> Self {
        match translated {
            Some(text) => Self::plain(text),
            None => Self {
                text: english.to_owned(),
                lang: (language != Language::En).then_some(Language::En.tag()),
            },
        }
    }

    /// A text in the page's language, or in none.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            lang: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_language_has_the_texts_with_the_same_placeholders() {
        let raw = |text: &str| serde_saphyr::from_str::<BTreeMap<String, String>>(text).unwrap();
        let placeholders = |text: &str| {
            let mut found: Vec<String> = text
                .split('{')
                .skip(1)
                .filter_map(|rest| Some(rest.split_once('}')?.0.to_owned()))
                .collect();
            found.sort();
            found
        };
        AllTexts::read().unwrap();
        let english = raw(FILES[0].1);
        for (language, text) in FILES {
            for (key, text) in raw(text) {
                assert_eq!(
                    placeholders(&text),
                    placeholders(&english[&key]),
                    "{language:?} {key}"
                );
                let same = *language.tag() != *"en" && text == english[&key];
                // Words that two languages share.
                assert!(
                    !same || text == "Instructions" || key == "optional",
                    "{language:?} {key}"
                );
            }
        }
    }
}
