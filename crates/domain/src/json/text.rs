//! JSON strings: finding their end, unescaping, and writing them.

use std::char::REPLACEMENT_CHARACTER;

/// Returns how many bytes precede the closing quote, and whether they contain an escape.
pub(super) fn find_end(bytes: &[u8]) -> Option<(usize, bool)> {
    let (mut at, mut escaped) = (0, false);
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some((at, escaped));
        }
        escaped = true;
        at += 2;
    }
}

/// Unescapes a raw string.
///
/// Lone surrogates and U+0000 become U+FFFD. An unknown escape is kept as it is.
pub(super) fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, after)) = rest.split_once('\\') {
        push_plain(plain, &mut out);
        let (character, length) = escape(after).unwrap_or(('\\', 0));
        out.push(if character == '\0' {
            REPLACEMENT_CHARACTER
        } else {
            character
        });
        rest = after.get(length..).unwrap_or_default();
    }
    push_plain(rest, &mut out);
    out
}

fn push_plain(text: &str, out: &mut String) {
    for (index, part) in text.split('\0').enumerate() {
        if index > 0 {
            out.push(REPLACEMENT_CHARACTER);
        }
        out.push_str(part);
    }
}

/// Returns the character of an escape, and the escape's length in bytes without the backslash.
fn escape(after: &str) -> Option<(char, usize)> {
    let character = match after.chars().next()? {
        character @ ('"' | '\\' | '/') => character,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return unicode(after),
        _ => return None,
    };
    Some((character, 1))
}

fn unicode(after: &str) -> Option<(char, usize)> {
    let unit = code_unit(after)?;
    if let Some(character) = char::from_u32(unit) {
        return Some((character, 5));
    }
    let low = after
        .get(5..)
        .and_then(|rest| rest.strip_prefix('\\'))
        .and_then(code_unit);
    let pair = match (unit, low) {
        (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) => {
            char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00))
        }
        _ => None,
    };
    Some(pair.map_or((REPLACEMENT_CHARACTER, 5), |character| (character, 11)))
}

/// Parses `u` and four hexadecimal digits.
fn code_unit(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('u')?.get(..4)?;
    let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    hexadecimal
        .then(|| u32::from_str_radix(digits, 16).ok())
        .flatten()
}

/// Writes a text as JSON, as serde_json does.
pub(crate) fn write_text(text: &str, out: &mut String) {
    if text
        .bytes()
        .any(|byte| byte < b' ' || byte == b'"' || byte == b'\\')
    {
        // Writing text cannot fail.
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}
