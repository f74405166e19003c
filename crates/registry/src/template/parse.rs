//! Parses text into the parts of a template.

use super::{Function, MAX_TEMPLATE, Part, SIGNING, TemplateError, now};

/// How many characters of a template an error message quotes.
const QUOTED: usize = 40;

/// What a template may contain.
#[derive(Clone, Copy)]
pub(super) struct Grammar {
    /// How deep functions may be nested; 0 allows no function. Limits the parser's recursion.
    pub(super) depth: usize,
    /// Whether it is a file's, which may have `${a || b}`, `A || B` and `${now…}`.
    pub(super) of_file: bool,
}

pub(super) fn template(text: &str, grammar: Grammar) -> Result<Vec<Vec<Part>>, TemplateError> {
    if text.len() > MAX_TEMPLATE {
        return Err(malformed(format!("must be at most {MAX_TEMPLATE} bytes long")));
    }
    let mut parser = Parser { rest: text, grammar };
    let mut alternatives = vec![parser.parts(Ends::AtFallback, grammar.depth)?];
    while parser.eat("||") {
        if !grammar.of_file {
            return Err(malformed("|| may not stand here"));
        }
        alternatives.push(parser.parts(Ends::AtFallback, grammar.depth)?);
    }
    if alternatives.len() > 1 {
        alternatives.iter_mut().for_each(trim);
        if alternatives.iter().any(Vec::is_empty) {
            return Err(malformed("a side of || is empty"));
        }
    }
    Ok(alternatives)
}

pub(super) fn malformed(message: impl Into<String>) -> TemplateError {
    TemplateError::Malformed(message.into())
}

/// Returns the beginning of `text`, short enough for an error message.
pub(super) fn clipped(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// What ends a sequence of parts, besides the end of the text.
#[derive(Clone, Copy, PartialEq)]
enum Ends {
    AtFallback,
    AtParenthesis,
}

struct Parser<'a> {
    rest: &'a str,
    grammar: Grammar,
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

    /// Consumes the text before the first character that `stop` accepts.
    fn until(&mut self, stop: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = self
            .rest
            .split_at(self.rest.find(stop).unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn parts(&mut self, ends: Ends, depth_left: usize) -> Result<Vec<Part>, TemplateError> {
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
                self.placeholder(depth_left)?
            } else if let Some(function) = self.function() {
                self.made(function, depth_left)?
            } else if let Some(name) = self.signing() {
                return Err(TemplateError::Unsupported(name.to_owned()));
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

    /// Consumes the name of a function and its parenthesis.
    fn function(&mut self) -> Option<Function> {
        Function::ALL
            .into_iter()
            .find(|function| self.eat(function.opening()))
    }

    /// Returns the signing function that the text continues with, if any.
    fn signing(&self) -> Option<&'static str> {
        let calls = |name: &&str| {
            let rest = self.rest.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with('('))
        };
        SIGNING.into_iter().find(calls)
    }

    /// Parses what follows the parenthesis of a function.
    fn made(&mut self, function: Function, depth_left: usize) -> Result<Part, TemplateError> {
        let Some(depth_left) = depth_left.checked_sub(1) else {
            let depth = self.grammar.depth;
            return Err(malformed(match depth {
                0 => format!("{}…) may not stand here", function.opening()),
                1 => format!("{}…) may not stand within another function", function.opening()),
                _ => format!("functions may be nested at most {depth} deep"),
            }));
        };
        let inner = self.parts(Ends::AtParenthesis, depth_left)?;
        if self.eat(")") {
            Ok(Part::Made(function, inner))
        } else {
            Err(malformed(format!("{} is not closed by )", function.opening())))
        }
    }

    /// Parses what follows `${`.
    fn placeholder(&mut self, depth_left: usize) -> Result<Part, TemplateError> {
        self.spaces();
        if let Some(function) = self.function() {
            let part = self.made(function, depth_left)?;
            self.spaces();
            return if self.eat("}") {
                Ok(part)
            } else {
                Err(malformed(format!(
                    "${{{}…) is not closed by }}",
                    function.opening()
                )))
            };
        }
        let mut names = Vec::new();
        loop {
            self.spaces();
            names.push(self.name()?);
            self.spaces();
            if self.eat("}") {
                return Ok(Part::Placeholder(names));
            }
            if !self.grammar.of_file || !self.eat("||") {
                let name = clipped(names.last().map_or("", String::as_str));
                let or = if self.grammar.of_file {
                    " or ${name || other}"
                } else {
                    ""
                };
                return Err(malformed(format!(
                    "${{{name} is not closed by }}; a placeholder is ${{name}}{or}"
                )));
            }
        }
    }

    fn name(&mut self) -> Result<String, TemplateError> {
        if let Some(end) = now::length(self.rest).filter(|_| self.grammar.of_file) {
            let (name, rest) = self.rest.split_at(end);
            self.rest = rest;
            let name = name.trim_end();
            return now::is_time(name).then(|| name.to_owned()).ok_or_else(|| {
                malformed(format!(
                    "${{{}}} is not a time; write ${{now}}, ${{now:YYYY-MM-DD}} or ${{now+5:minutes:X}}",
                    clipped(name)
                ))
            });
        }
        let name = self.until(|c| !(c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.'));
        if self.rest.starts_with('(') {
            return Err(TemplateError::Unsupported(clipped(name)));
        }
        if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            || name.split('.').any(str::is_empty)
        {
            return Err(malformed(
                "a placeholder needs a name: ${apiKey}, ${connectionConfig.region}",
            ));
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

/// Removes the space around `||`.
fn trim(parts: &mut Vec<Part>) {
    if let Some(Part::Text(text)) = parts.first_mut() {
        *text = text.trim_start().to_owned();
    }
    if let Some(Part::Text(text)) = parts.last_mut() {
        *text = text.trim_end().to_owned();
    }
    parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
}
