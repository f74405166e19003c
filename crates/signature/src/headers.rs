//! The headers of a request.

use std::fmt;

/// The most headers that are kept of a request, and the most bytes of a name and of a value.
const MOST: usize = 200;
const LONGEST_NAME: usize = 256;
const LONGEST_VALUE: usize = 8_192;

/// The headers of a request, by name in any case.
///
/// Headers beyond 200, those with a value of more than 8,192 bytes and those that are not UTF-8 are left out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Takes the headers of a request, each with its name and value.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let kept = pairs.into_iter().take(MOST).filter_map(|(name, value)| {
            let value = std::str::from_utf8(value).ok()?;
            let fits = name.len() <= LONGEST_NAME && value.len() <= LONGEST_VALUE;
            fits.then(|| (name.to_ascii_lowercase(), value.to_owned()))
        });
        Self(kept.collect())
    }

    /// Returns the value of a header without surrounding space; `None` if the request has no such header, or several.
    ///
    /// Of several, a sender and a proxy may mean different ones.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.all(name);
        let first = values.next()?;
        values.next().is_none().then_some(first)
    }

    /// Whether the request has a header of this name, or several.
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Returns the headers, their names in lower case.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let of_name = self
            .0
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.trim())
    }
}

impl fmt::Debug for Headers {
    /// Shows the names: values may be credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_found_in_any_case_and_only_if_it_is_there_once() {
        let headers = Headers::new([
            ("X-One", b" a ".as_slice()),
            ("x-two", b"b"),
            ("X-Two", b"c"),
            ("x-raw", b"\xff"),
        ]);
        assert_eq!(headers.get("x-ONE"), Some("a"));
        assert_eq!((headers.get("x-two"), headers.has("x-two")), (None, true));
        assert_eq!((headers.get("x-raw"), headers.has("x-none")), (None, false));
    }

    #[test]
    fn large_headers_are_left_out_and_values_are_not_shown() {
        let long = vec![b'a'; LONGEST_VALUE + 1];
        let many = (0..MOST).map(|_| ("x-many", b"geheim".as_slice()));
        let headers = Headers::new([("x-long", long.as_slice())].into_iter().chain(many));
        assert!(!headers.has("x-long"));
        assert_eq!(headers.iter().count(), MOST - 1);
        assert!(!format!("{headers:?}").contains("geheim"));
    }
}
