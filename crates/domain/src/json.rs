//! A lenient JSON parser for the responses of providers.
//!
//! serde_json is not suitable here: it rejects a whole document for one lone surrogate, one raw control character or one deep value, it
//! rewrites numbers, and its values take thirty times the memory of the text. This reader keeps the digits of numbers, repairs text,
//! copies values without building trees, and can skip a damaged value and continue after it.

#[cfg(test)]
mod tests;
mod text;

use std::borrow::Cow;

pub(crate) use self::text::write_text;
use self::text::{find_end, unescape};

/// How deep the values of a record may be nested. Most clients read no deeper, like serde_json.
const MAX_DEPTH: usize = 120;
/// How many names one object of a record may have, since sorting takes memory for each of them.
const MAX_NAMES: usize = 100_000;

/// A JSON syntax error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The text ends within a value.
    #[error("the JSON ends within a value")]
    Cut,
    /// A character is not allowed at its position.
    #[error("the JSON is invalid at byte {at}")]
    Syntax {
        /// The position in bytes.
        at: usize,
    },
    /// Lists and objects are nested more than 120 deep.
    #[error("the JSON is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// One object has more than 100,000 names.
    #[error("an object has more than {MAX_NAMES} names")]
    TooManyNames,
}

/// A value that is neither a list nor an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonScalar<'a> {
    /// Null.
    Null,
    /// True or false.
    Bool(bool),
    /// A number with the digits that were sent.
    Number(&'a str),
    /// A text. U+0000, which PostgreSQL cannot store, and lone surrogates are replaced by U+FFFD.
    Text(Cow<'a, str>),
}

/// The kind of the next value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonKind {
    /// An object.
    Object,
    /// A list.
    List,
    /// Anything else.
    Scalar,
}

/// A pull parser over one JSON text.
#[derive(Debug, Clone)]
pub struct JsonReader<'a> {
    text: &'a str,
    at: usize,
    /// Whether the text contains a raw U+0000, which JSON forbids.
    has_nul: bool,
}

/// Returns the text of a body, without a byte order mark and with U+FFFD in place of invalid UTF-8.
pub fn json_text(body: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body))
}

/// Returns the body as strict JSON, repaired by the rules of [`JsonReader`].
pub fn repaired_json(body: &[u8]) -> Result<String, JsonError> {
    let text = json_text(body);
    let mut reader = JsonReader::new(&text);
    let mut out = String::with_capacity(text.len());
    reader.copy(&mut out, Names::AsSent, MAX_DEPTH)?;
    reader.end()?;
    Ok(out)
}

/// The order of names in a copied object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    AsSent,
    /// Sorted by bytes, with only the last of equal names, so that equal objects are equal text.
    Sorted,
}

impl<'a> JsonReader<'a> {
    /// Returns a reader at the beginning of `text`.
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            has_nul: memchr::memchr(0, text.as_bytes()).is_some(),
        }
    }

    /// Returns the position of the next value in bytes.
    pub fn position(&mut self) -> usize {
        self.skip_space();
        self.at
    }

    /// Returns to an earlier position.
    pub(crate) fn rewind(&mut self, position: usize) {
        self.at = position;
    }

    /// Returns the kind of the next value without reading it.
    pub fn kind(&mut self) -> Result<JsonKind, JsonError> {
        Ok(match self.peek()? {
            b'{' => JsonKind::Object,
            b'[' => JsonKind::List,
            _ => JsonKind::Scalar,
        })
    }

    /// Reads an object; `value` is called for each name and must read its value.
    pub fn object<E: From<JsonError>>(
        &mut self,
        mut value: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek()? != b'"' {
                return Err(self.wrong().into());
            }
            let name = self.text()?;
            self.expect(b':')?;
            value(self, name)?;
            if self.ends(b'}')? {
                return Ok(());
            }
        }
    }

    /// Reads a list; `element` is called before each element and must read it.
    pub fn list<E: From<JsonError>>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'[')?;
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            element(self)?;
            if self.ends(b']')? {
                return Ok(());
            }
        }
    }

    /// Reads a value that is neither a list nor an object.
    ///
    /// Some programs write `+5`, `007` or `NaN`, which are not JSON numbers. They are read as text.
    pub fn scalar(&mut self) -> Result<JsonScalar<'a>, JsonError> {
        if self.peek()? == b'"' {
            return self.text().map(JsonScalar::Text);
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
            .count();
        let word = rest.get(..length).unwrap_or_default();
        let scalar = match word {
            "null" => JsonScalar::Null,
            "true" => JsonScalar::Bool(true),
            "false" => JsonScalar::Bool(false),
            _ if is_number(word) => JsonScalar::Number(word),
            _ if resembles_number(word) => JsonScalar::Text(Cow::Borrowed(word)),
            _ => return Err(self.wrong()),
        };
        self.at += length;
        Ok(scalar)
    }

    /// Skips everything before the next comma or closing bracket of this level, whether it is a valid value or not.
    ///
    /// Does not recurse: it needs one byte per level, so values may be nested to any depth.
    pub fn skip(&mut self) -> Result<(), JsonError> {
        let mut open = Vec::new();
        loop {
            let Ok(byte) = self.peek() else {
                return if open.is_empty() {
                    Ok(())
                } else {
                    Err(JsonError::Cut)
                };
            };
            match byte {
                b',' | b']' | b'}' if open.is_empty() => return Ok(()),
                b'"' => {
                    self.raw_text()?;
                    continue;
                }
                b'[' => open.push(b']'),
                b'{' => open.push(b'}'),
                b']' | b'}' if open.pop() != Some(byte) => return Err(self.wrong()),
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Checks that nothing follows.
    pub fn end(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Ok(_) => Err(self.wrong()),
            Err(_) => Ok(()),
        }
    }

    /// Returns the next value as strict JSON without spaces, its names sorted.
    pub(crate) fn copied(&mut self) -> Result<String, JsonError> {
        let mut text = String::new();
        self.copy(&mut text, Names::Sorted, MAX_DEPTH)?;
        Ok(text)
    }

    /// Copies the next value to the end of `out` as strict JSON without spaces.
    fn copy(&mut self, out: &mut String, names: Names, depth: usize) -> Result<(), JsonError> {
        let inner = |depth: usize| depth.checked_sub(1).ok_or(JsonError::TooDeep);
        match self.kind()? {
            JsonKind::Object => self.copy_object(out, names, inner(depth)?),
            JsonKind::List => {
                let depth = inner(depth)?;
                out.push('[');
                let begin = out.len();
                self.list(|json| {
                    if out.len() > begin {
                        out.push(',');
                    }
                    json.copy(out, names, depth)
                })?;
                out.push(']');
                Ok(())
            }
            JsonKind::Scalar => {
                self.scalar()?.write(out);
                Ok(())
            }
        }
    }

    fn copy_object(&mut self, out: &mut String, names: Names, depth: usize) -> Result<(), JsonError> {
        let begin = out.len();
        let mut fields = Vec::new();
        self.object(|json, name| {
            if fields.len() == MAX_NAMES {
                return Err(JsonError::TooManyNames);
            }
            let from = out.len();
            json.copy(out, names, depth)?;
            fields.push((name, from..out.len()));
            Ok(())
        })?;
        let values = out.split_off(begin);
        let value = |from: usize, to: usize| values.get(from - begin..to - begin).unwrap_or_default();
        let fields = fields
            .into_iter()
            .map(|(name, place)| (name, value(place.start, place.end)));
        match names {
            Names::AsSent => write_object(out, fields),
            Names::Sorted => write_object(out, sorted(fields.collect())),
        }
        Ok(())
    }

    fn text(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let (raw, escaped) = self.raw_text()?;
        Ok(if escaped || self.has_nul {
            Cow::Owned(unescape(raw))
        } else {
            Cow::Borrowed(raw)
        })
    }

    /// Returns the text between the quotes, and whether it contains an escape.
    fn raw_text(&mut self) -> Result<(&'a str, bool), JsonError> {
        let begin = self.at + 1;
        let rest = self.text.as_bytes().get(begin..).unwrap_or_default();
        let (length, escaped) = find_end(rest).ok_or(JsonError::Cut)?;
        let raw = self.text.get(begin..begin + length).ok_or_else(|| self.wrong())?;
        self.at = begin + length + 1;
        Ok((raw, escaped))
    }

    /// Reads the next character, and returns whether it is `close`, which ends the list or object, or else a comma.
    fn ends(&mut self, close: u8) -> Result<bool, JsonError> {
        let byte = self.peek()?;
        if byte != close && byte != b',' {
            return Err(self.wrong());
        }
        self.at += 1;
        Ok(byte == close)
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek()? == byte {
            self.at += 1;
            Ok(())
        } else {
            Err(self.wrong())
        }
    }

    fn peek(&mut self) -> Result<u8, JsonError> {
        self.skip_space();
        self.text.as_bytes().get(self.at).copied().ok_or(JsonError::Cut)
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.as_bytes().get(self.at) {
            self.at += 1;
        }
    }

    const fn wrong(&self) -> JsonError {
        JsonError::Syntax { at: self.at }
    }
}

impl JsonScalar<'_> {
    /// Writes the value as JSON.
    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(digits) => out.push_str(digits),
            Self::Text(text) => write_text(text, out),
        }
    }
}

/// Sorts fields by name, and keeps only the last of equal names.
fn sorted<'f>(mut fields: Vec<(Cow<'f, str>, &'f str)>) -> Vec<(Cow<'f, str>, &'f str)> {
    fields.reverse();
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields.dedup_by(|(one, _), (other, _)| one == other);
    fields
}

/// Writes an object whose values are already JSON.
pub(crate) fn write_object(
    out: &mut String,
    fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<str>)>,
) {
    out.push('{');
    for (index, (name, value)) in fields.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_text(name.as_ref(), out);
        out.push(':');
        out.push_str(value.as_ref());
    }
    out.push('}');
}

/// Whether a word is a number in the grammar of RFC 8259.
fn is_number(word: &str) -> bool {
    let word = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match word.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (word, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

fn resembles_number(word: &str) -> bool {
    let bare = word.trim_start_matches(['+', '-']);
    matches!(bare, "NaN" | "Infinity" | "nan" | "inf")
        || bare.bytes().any(|byte| byte.is_ascii_digit())
            && word
                .bytes()
                .all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'))
}
