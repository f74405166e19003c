//! The lines of a chunked body (RFC 9112, section 7.1), as strictly as actix reads them.

/// Reads the size of a chunk from its line, with the line break; `None` if the line breaks the grammar.
pub(super) fn size(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\r\n")?;
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit());
    let (digits, rest) = line.split_at_checked(end.unwrap_or(line.len()))?;
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let after = rest.iter().position(|byte| !is_blank(byte));
    let extension = rest.get(after.unwrap_or(rest.len())..)?;
    let is_extension = match extension {
        [] => true,
        [b';', text @ ..] => text.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control()),
        _ => false,
    };
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_extension)?;
    u64::from_str_radix(digits, 16).ok()
}

/// Returns whether a line after the last chunk ends the body; `None` if it is neither the end nor a trailer.
pub(super) fn ends_body(line: &[u8]) -> Option<bool> {
    let line = line.strip_suffix(b"\r\n")?;
    (!line.contains(&b'\r')).then_some(line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_size_is_hexadecimal_with_an_optional_extension() {
        for (line, wanted) in [
            ("0\r\n", Some(0)),
            ("1aF\r\n", Some(0x1af)),
            ("5 \t\r\n", Some(5)),
            ("5;name=\"x\"\r\n", Some(5)),
            ("5 ;name\r\n", Some(5)),
            ("ffffffffffffffff\r\n", Some(u64::MAX)),
            ("10000000000000000\r\n", None),
            ("\r\n", None),
            ("5\n", None),
            ("+5\r\n", None),
            ("0x5\r\n", None),
            ("5 5\r\n", None),
            (" 5\r\n", None),
            ("5;\0\r\n", None),
            ("5;\r\r\n", None),
            ("zz\r\n", None),
        ] {
            assert_eq!(size(line.as_bytes()), wanted, "{line:?}");
        }
    }

    #[test]
    fn an_empty_line_ends_a_body_and_a_trailer_field_does_not() {
        for (line, wanted) in [
            ("\r\n", Some(true)),
            ("x: y\r\n", Some(false)),
            ("\n", None),
            ("x: y\n", None),
            ("x\ry\r\n", None),
        ] {
            assert_eq!(ends_body(line.as_bytes()), wanted, "{line:?}");
        }
    }
}
