//! From text to the parts of a template.

use super::{Part, TemplateError};

/// What Nango computes in a hole and Trunkline does not.
const COMPUTED: &[&str] = &[
    "now",
    "random",
    "accessToken",
    "endpoint",
    "host",
    "path",
    "method",
    "params",
    "bodyCanonicalParams",
    "sha256Hex",
    "sha256Base64",
    "hmacSha1Hex",
    "ed25519Sign",
    "fingerprint",
    "awsSigV4",
];
const ROOTS: &[&str] = &["credentials", "connectionConfig", "metadata", "record", "input"];

pub(super) fn template(text: &str) -> Result<Vec<Vec<Part>>, TemplateError> {
    let mut parser = Parser { rest: text };
    let mut alternatives = vec![parser.parts(Ends::AtFallback)?];
    while parser.eat("||") {
        alternatives.push(parser.parts(Ends::AtFallback)?);
    }
    if alternatives.len() > 1 {
        alternatives.iter_mut().for_each(trim);
        if alternatives.iter().any(Vec::is_empty) {
            return Err(malformed("a side of || is empty"));
        }
    }
    Ok(alternatives)
}

fn malformed(message: impl Into<String>) -> TemplateError {
    TemplateError::Malformed(message.into())
}

/// What ends a run of parts besides the end of the text.
#[derive(Clone, Copy, PartialEq)]
enum Ends {
    AtFallback,
    AtParenthesis,
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn eat(&mut self, token: &str) -> bool {
        let stripped = self.rest.strip_prefix(token);
        self.rest = stripped.unwrap_or(self.rest);
        stripped.is_some()
    }

    fn eat_char(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let first = chars.next();
        self.rest = chars.as_str();
        first
    }

    /// The text up to the first character that `stop` takes, which stays.
    fn until(&mut self, stop: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = self
            .rest
            .split_at(self.rest.find(stop).unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn parts(&mut self, ends: Ends) -> Result<Vec<Part>, TemplateError> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut depth = 0_usize;
        loop {
            let end = match ends {
                Ends::AtFallback => self.rest.starts_with("||"),
                Ends::AtParenthesis => depth == 0 && self.rest.starts_with(')'),
            };
            if end {
                break;
            }
            let found = if self.eat("${") {
                self.hole()?
            } else if self.eat("base64(") {
                self.base64()?
            } else {
                match self.eat_char() {
                    None => break,
                    Some(c) => {
                        depth = if c == '(' {
                            depth + 1
                        } else {
                            depth.saturating_sub(usize::from(c == ')'))
                        };
                        text.push(c);
                    }
                }
                continue;
            };
            push_text(&mut parts, &mut text);
            parts.push(found);
        }
        push_text(&mut parts, &mut text);
        Ok(parts)
    }

    /// What follows `base64(`.
    fn base64(&mut self) -> Result<Part, TemplateError> {
        let inner = self.parts(Ends::AtParenthesis)?;
        if self.eat(")") {
            Ok(Part::Base64(inner))
        } else {
            Err(malformed("base64( is not closed by )"))
        }
    }

    /// What follows `${`.
    fn hole(&mut self) -> Result<Part, TemplateError> {
        self.spaces();
        if self.eat("base64(") {
            let part = self.base64()?;
            self.spaces();
            return if self.eat("}") {
                Ok(part)
            } else {
                Err(malformed("${base64(…) is not closed by }"))
            };
        }
        let mut names = Vec::new();
        loop {
            self.spaces();
            names.push(self.name()?);
            self.spaces();
            if self.eat("}") {
                return Ok(Part::Hole(names));
            }
            if !self.eat("||") {
                let name = names.last().map_or("", String::as_str);
                return Err(malformed(format!(
                    "${{{name} is not closed by }}; a hole is ${{name}} or ${{name || other}}"
                )));
            }
        }
    }

    fn name(&mut self) -> Result<String, TemplateError> {
        let name = self.until(|c| !(c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.'));
        let mut steps = name.split('.');
        let root = steps.next().unwrap_or_default();
        if COMPUTED.contains(&root) || self.rest.starts_with('(') {
            let more = self.until(|c| c == '}');
            return Err(TemplateError::Unsupported(format!("{name}{more}")));
        }
        if !root.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            || name.split('.').any(str::is_empty)
        {
            return Err(malformed(
                "a hole needs a name: ${apiKey}, ${connectionConfig.region}",
            ));
        }
        if name.contains('.') != ROOTS.contains(&root) {
            return Err(malformed(format!(
                "${{{name}}} is no value of a connection; there are ${{apiKey}}, ${{username}}, ${{password}}, \
                 ${{credentials.…}}, ${{connectionConfig.…}} and ${{metadata.…}}"
            )));
        }
        Ok(name.to_owned())
    }

    fn spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }
}

fn push_text(parts: &mut Vec<Part>, text: &mut String) {
    if !text.is_empty() {
        parts.push(Part::Text(std::mem::take(text)));
    }
}

/// Takes away the space around `||`.
fn trim(parts: &mut Vec<Part>) {
    if let Some(Part::Text(text)) = parts.first_mut() {
        *text = text.trim_start().to_owned();
    }
    if let Some(Part::Text(text)) = parts.last_mut() {
        *text = text.trim_end().to_owned();
    }
    parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
}
