//! The languages of the connect page, and which of them a reader prefers.

use actix_web::HttpRequest;
use actix_web::http::header::{AcceptLanguage, Header, Quality};

/// A language of the page's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    En,
    De,
    Es,
    Fr,
    Pt,
}

impl Language {
    /// All languages.
    pub(crate) const ALL: [Self; 5] = [Self::En, Self::De, Self::Es, Self::Fr, Self::Pt];

    /// Returns the language's tag.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Es => "es",
            Self::Fr => "fr",
            Self::Pt => "pt",
        }
    }

    /// Returns the language of a tag such as `de` or `pt-BR`.
    fn of_tag(tag: &str) -> Option<Self> {
        let language = tag.split(['-', '_']).next().unwrap_or_default();
        let mut all = Self::ALL.into_iter();
        all.find(|known| known.tag().eq_ignore_ascii_case(language))
    }

    /// Chooses the language: the one that the parameter `lang` names, else the best one of the header `Accept-Language`, else English.
    pub(crate) fn choose(parameter: Option<&str>, request: &HttpRequest) -> Self {
        parameter
            .and_then(Self::of_tag)
            .or_else(|| Self::accepted(request))
            .unwrap_or(Self::En)
    }

    fn accepted(request: &HttpRequest) -> Option<Self> {
        let mut header = AcceptLanguage::parse(request).ok()?;
        header.0.retain(|entry| entry.quality > Quality::ZERO);
        let mut ranked = header.ranked().into_iter();
        ranked.find_map(|entry| Self::of_tag(entry.item()?.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_parameter_wins_then_the_highest_weight_then_english() {
        for (parameter, accepted, wanted) in [
            (None, "", Language::En),
            (Some("de"), "fr", Language::De),
            (Some("pt-BR"), "", Language::Pt),
            (Some("DE_at"), "", Language::De),
            (Some("xx"), "fr", Language::Fr),
            (None, "fr;q=0.5, de;q=0.9, en;q=0.1", Language::De),
            (None, "nl, es-MX;q=0.8", Language::Es),
            (None, "de;q=0, fr;q=0.1", Language::Fr),
            (None, "de;q=x, ,;;, fr", Language::Fr),
            (None, "*", Language::En),
            (None, "es, fr", Language::Es),
        ] {
            let request = TestRequest::default().insert_header(("accept-language", accepted));
            let chosen = Language::choose(parameter, &request.to_http_request());
            assert_eq!(chosen, wanted, "{parameter:?} {accepted:?}");
        }
    }
}
