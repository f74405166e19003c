//! Reads the `Link` header (RFC 8288).
//!
//! The parser is our own: the published ones reject a whole header for one part that they cannot read. This one skips only the rest of that
//! field value, and uses the links before it and in other `Link` headers.

use std::collections::BTreeMap;

use http::header::{self, HeaderMap};

use crate::RequestError;

/// One link of a `Link` header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HeaderLink {
    /// Its target, relative or absolute.
    pub(crate) target: String,
    /// Its parameters by lower-case name; if a name repeats, the first value is used.
    parameters: BTreeMap<String, String>,
}

impl HeaderLink {
    /// Returns a parameter's value.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .get(&name.to_ascii_lowercase())
            .map(String::as_str)
    }

    fn has_relation(&self, rel: &str) -> bool {
        self.parameter("rel").is_some_and(|words| {
            words
                .split_whitespace()
                .any(|word| word.eq_ignore_ascii_case(rel))
        })
    }
}

/// Returns the first link with the relation `rel`. Fails if none is found and a part is unreadable, because that part may hold the link.
pub(crate) fn find(headers: &HeaderMap, rel: &str) -> Result<Option<HeaderLink>, RequestError> {
    let mut is_readable = true;
    for value in headers.get_all(header::LINK) {
        let text = String::from_utf8_lossy(value.as_bytes());
        let mut rest = text.as_ref();
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                break;
            }
            let Some((link, behind)) = parse_link(rest) else {
                is_readable = false;
                break;
            };
            if link.has_relation(rel) {
                return Ok(Some(link));
            }
            rest = behind;
        }
    }
    if is_readable {
        return Ok(None);
    }
    Err(RequestError::BadNext {
        at: "the Link header".to_owned(),
        found: "text that is no Link header",
    })
}

/// Reads one link at the beginning of `text`, and returns what follows it.
fn parse_link(text: &str) -> Option<(HeaderLink, &str)> {
    let (target, mut rest) = text.strip_prefix('<')?.split_once('>')?;
    let mut parameters = BTreeMap::new();
    loop {
        rest = rest.trim_start();
        let Some(parameter) = rest.strip_prefix(';') else {
            let link = HeaderLink {
                target: target.trim().to_owned(),
                parameters,
            };
            return (rest.is_empty() || rest.starts_with(',')).then_some((link, rest));
        };
        let parameter = parameter.trim_start();
        let end = parameter.find(['=', ';', ',']).unwrap_or(parameter.len());
        let (name, behind) = parameter.split_at_checked(end)?;
        let (value, behind) = match behind.strip_prefix('=') {
            Some(value) => parse_value(value.trim_start())?,
            None => (String::new(), behind),
        };
        if !name.trim().is_empty() {
            parameters
                .entry(name.trim().to_ascii_lowercase())
                .or_insert(value);
        }
        rest = behind;
    }
}

/// Reads a token or a quoted text at the beginning of `text`, and returns what follows it.
fn parse_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',']).unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end)?;
        return Some((value.trim().to_owned(), rest));
    };
    let (mut value, mut characters) = (String::new(), quoted.chars());
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(characters.next()?),
            character => value.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;
    use rstest::rstest;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).unwrap();
        values.iter().map(|text| (header::LINK, value(text))).collect()
    }

    #[rstest]
    #[case::plain(&["</a?page=2>; rel=next"])]
    #[case::quoted_with_marks(&["</x>; title=\"a, b; <c> \\\" d\"; rel=\"prev\", </a?page=2>; rel=\"last NEXT\""])]
    #[case::commas_in_the_target(&["</y?q=1,2>; rel=self,</a?page=2>;rel=next"])]
    #[case::parameters_without_value(&["</a?page=2>; crossorigin; rel = \"next\" ; x=y"])]
    #[case::empty_elements(&[", ,</a?page=2>; rel=next,"])]
    #[case::several_headers(&["</z>; rel=first", "</a?page=2>; rel=next"])]
    #[case::characters_beyond_ascii(&["</a?page=2>; title=\"ü\"; rel=next"])]
    #[case::broken_behind(&["</a?page=2>; rel=next, <oops"])]
    #[case::broken_in_another_header(&["nonsense", "</a?page=2>; rel=next"])]
    fn a_link_with_the_relation_is_found(#[case] values: &[&str]) {
        let found = find(&headers(values), "next").unwrap().unwrap();
        assert_eq!(found.target, "/a?page=2");
    }

    #[rstest]
    #[case::no_header(&[])]
    #[case::empty(&[""])]
    #[case::others(&["</a>; rel=prev, </b>; rel=\"first last\""])]
    #[case::a_second_rel_does_not_count(&["</a>; rel=prev; rel=next"])]
    fn without_the_relation_there_is_no_link(#[case] values: &[&str]) {
        assert!(find(&headers(values), "next").unwrap().is_none());
    }

    #[rstest]
    #[case(&["/a?page=2; rel=next"])]
    #[case(&["</a?page=2; rel=next"])]
    #[case(&["</a?page=2>; rel=\"next"])]
    #[case(&["</a?page=2> rel=next"])]
    #[case(&["</z>; rel=first, garbage"])]
    fn an_unreadable_header_is_an_error(#[case] values: &[&str]) {
        let found = find(&headers(values), "next");
        assert!(matches!(found, Err(RequestError::BadNext { .. })), "{found:?}");
    }
}
