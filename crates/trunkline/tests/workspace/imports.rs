//! Which top-level module of a crate imports which, read from the tokens of its source files.
//!
//! Paths that begin with `crate` or `super` count, wherever they stand, and names that `lib.rs` re-exports count as the module that they
//! come from. Code that is compiled for tests alone does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Stands for the items that `lib.rs` itself defines.
const ROOT: &str = "lib.rs";

/// The imports between the top-level modules of one crate: importer and imported module, with an example.
type Imports = BTreeMap<(String, String), String>;

/// Describes every import cycle between the top-level modules of the crate in `folder`, whose source files are `files`.
pub(super) fn cycles(folder: &Path, files: &[PathBuf]) -> Vec<String> {
    let imports = read(folder, files);
    let modules: BTreeSet<&str> = imports.keys().map(|(importer, _)| importer.as_str()).collect();
    let reached: BTreeMap<&str, BTreeSet<&str>> = modules
        .iter()
        .map(|module| (*module, reachable(&imports, module)))
        .collect();
    let cycle_of = |module: &str| -> BTreeSet<&str> {
        let mutual = modules.iter().filter(|other| {
            reached[module].contains(*other) && reached.get(*other).is_some_and(|back| back.contains(module))
        });
        mutual.copied().collect()
    };
    let cycles: BTreeSet<BTreeSet<&str>> = modules
        .iter()
        .map(|module| cycle_of(module))
        .filter(|cycle| !cycle.is_empty())
        .collect();
    let describe = |cycle: &BTreeSet<&str>| {
        let inside = imports.iter().filter(|((importer, imported), _)| {
            cycle.contains(importer.as_str()) && cycle.contains(imported.as_str())
        });
        let examples =
            inside.map(|((importer, imported), example)| format!("\n  {importer} -> {imported}: {example}"));
        let names: Vec<&str> = cycle.iter().copied().collect();
        let crate_name = folder.file_name().unwrap().display();
        format!(
            "{crate_name}: {}{}",
            names.join(", "),
            examples.collect::<String>()
        )
    };
    cycles.iter().map(describe).collect()
}

/// The modules that `module` imports, directly or not.
fn reachable<'a>(imports: &'a Imports, module: &'a str) -> BTreeSet<&'a str> {
    let (mut seen, mut rest) = (BTreeSet::new(), vec![module]);
    while let Some(module) = rest.pop() {
        let next = imports.keys().filter(|(importer, _)| importer == module);
        let next = next.map(|(_, imported)| imported.as_str());
        rest.extend(next.filter(|imported| seen.insert(*imported)));
    }
    seen
}

fn read(folder: &Path, files: &[PathBuf]) -> Imports {
    let source = folder.join("src");
    let parsed: Vec<(Vec<String>, &PathBuf, TokenStream)> = files
        .iter()
        .filter(|file| file.starts_with(&source) && !file.starts_with(source.join("bin")))
        .map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            (module_of(&source, file), file, text.parse().unwrap())
        })
        .collect();
    let mut reader = Reader::default();
    for (module, _, tokens) in &parsed {
        reader.learn(module, tokens.clone());
    }
    for (module, file, tokens) in parsed {
        if !reader.tests.iter().any(|test| module.starts_with(test)) {
            reader.file = file.strip_prefix(folder).unwrap().display().to_string();
            reader.scan(&module, tokens);
        }
    }
    reader.imports
}

/// The path of a file's module within its crate; empty for `lib.rs` and `main.rs`.
fn module_of(source: &Path, file: &Path) -> Vec<String> {
    let path = file.strip_prefix(source).unwrap().with_extension("");
    let mut module: Vec<String> = path
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if matches!(module.last().map(String::as_str), Some("lib" | "main" | "mod")) {
        module.pop();
    }
    module
}

#[derive(Default)]
struct Reader {
    /// The top-level modules.
    modules: BTreeSet<String>,
    /// The names that the root re-exports, each with the module or crate that it comes from.
    exports: BTreeMap<String, String>,
    /// Modules that are compiled for tests alone.
    tests: BTreeSet<Vec<String>>,
    file: String,
    imports: Imports,
}

impl Reader {
    /// Learns the modules and re-exports of a file.
    fn learn(&mut self, module: &[String], tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let (mut for_tests, mut exported) = (false, false);
        for (index, token) in tokens.iter().enumerate() {
            let next = |ahead: usize| {
                tokens
                    .get(index + ahead)
                    .map(ToString::to_string)
                    .unwrap_or_default()
            };
            match token.to_string().as_str() {
                "mod" if for_tests => drop(self.tests.insert([module, &[next(1)]].concat())),
                "mod" if module.is_empty() => drop(self.modules.insert(next(1))),
                "use" if module.is_empty() => {
                    let mut trees = tokens[index + 1..].split(|token| token.to_string() == ";");
                    for (name, origin) in leaves(trees.next().unwrap_or_default()) {
                        self.exports.entry(name).or_insert(origin);
                    }
                }
                "macro_rules" if exported && !module.is_empty() => {
                    self.exports.insert(next(2), module[0].clone());
                }
                _ => {}
            }
            match token {
                TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
                    for_tests |= is_for_tests(token);
                    exported |= group.stream().to_string() == "macro_export";
                }
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    (for_tests, exported) = (false, false);
                }
                TokenTree::Punct(punct) if punct.as_char() == ';' => (for_tests, exported) = (false, false),
                _ => {}
            }
        }
    }

    /// Collects the imports in the tokens of a module.
    fn scan(&mut self, module: &[String], tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is = |index: usize, text: &str| tokens.get(index).is_some_and(|token| token.to_string() == text);
        let follows = |index: usize| is(index, ":") && is(index + 1, ":");
        let mut index = 0;
        while let Some(token) = tokens.get(index) {
            match token {
                TokenTree::Group(_) if is_for_tests(token) => {
                    let item = tokens.iter().skip(index).position(|token| {
                        matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
                            || token.to_string() == ";"
                    });
                    index += item.unwrap_or(tokens.len());
                }
                // A visibility is no import: `pub(in crate::x)`.
                TokenTree::Group(_) if index > 0 && is(index - 1, "pub") => {}
                TokenTree::Group(group) => {
                    let inline = index > 1 && is(index - 2, "mod") && group.delimiter() == Delimiter::Brace;
                    let name = inline.then(|| tokens[index - 1].to_string());
                    let inside: Vec<String> = module.iter().cloned().chain(name).collect();
                    self.scan(&inside, group.stream());
                }
                // What the root re-exports is no import of its own.
                TokenTree::Ident(word)
                    if module.is_empty() && word == "use" && is_public(&tokens[..index]) =>
                {
                    let end = tokens
                        .iter()
                        .skip(index)
                        .position(|token| token.to_string() == ";");
                    index += end.unwrap_or(tokens.len());
                }
                TokenTree::Ident(word) => {
                    let (mut at, mut supers) = (index, 0);
                    while is(at, "super") && follows(at + 1) {
                        (at, supers) = (at + 3, supers + 1);
                    }
                    if word == "crate" && follows(index + 1) {
                        self.import(module, &tokens[index + 3..], token);
                    } else if supers > 0 {
                        if supers == module.len() {
                            self.import(module, &tokens[at..], token);
                        }
                        index = at - 1;
                    } else if module.is_empty()
                        && follows(index + 1)
                        && !(index > 1 && follows(index - 2))
                        && self.modules.contains(&word.to_string())
                    {
                        self.import(module, &tokens[index..], token);
                    }
                }
                _ => {}
            }
            index += 1;
        }
    }

    /// Notes the imports of the path or use tree that begins at the crate's root.
    fn import(&mut self, module: &[String], path: &[TokenTree], at: &TokenTree) {
        let importer = module.first().map_or(ROOT, String::as_str).to_owned();
        let first = match path.first() {
            Some(TokenTree::Group(tree)) => {
                let tokens: Vec<TokenTree> = tree.stream().into_iter().collect();
                let parts = tokens.split(|token| token.to_string() == ",");
                parts
                    .filter_map(|part| part.first().map(ToString::to_string))
                    .collect()
            }
            Some(token) => vec![token.to_string()],
            None => Vec::new(),
        };
        for name in first {
            let imported = if self.modules.contains(&name) {
                name.clone()
            } else {
                self.exports
                    .get(&name)
                    .cloned()
                    .unwrap_or_else(|| ROOT.to_owned())
            };
            if imported != importer {
                let example = format!("{}:{} uses {name}", self.file, at.span().start().line);
                self.imports
                    .entry((importer.clone(), imported))
                    .or_insert(example);
            }
        }
    }
}

/// Whether an attribute limits its item to tests.
fn is_for_tests(attribute: &TokenTree) -> bool {
    let text = attribute.to_string().replace(' ', "");
    text == "[cfg(test)]" || text.starts_with("[cfg(all(test,")
}

/// Whether the tokens before an item end with a visibility.
fn is_public(before: &[TokenTree]) -> bool {
    let word = |token: Option<&TokenTree>| token.is_some_and(|token| token.to_string() == "pub");
    word(before.last()) || before.len() > 1 && word(before.get(before.len() - 2))
}

/// The names that a use tree brings into scope, each with the first segment of its path.
fn leaves(tree: &[TokenTree]) -> Vec<(String, String)> {
    let text = |token: &TokenTree| token.to_string();
    let mut path: Vec<&TokenTree> = tree.iter().filter(|token| text(token) != ":").collect();
    path.retain(|token| !matches!(text(token).as_str(), "self" | "crate"));
    let Some(origin) = path.first().map(|token| text(token)) else {
        return Vec::new();
    };
    match path.last() {
        Some(TokenTree::Group(group)) => {
            let inside: Vec<TokenTree> = group.stream().into_iter().collect();
            let parts = inside.split(|token| text(token) == ",");
            let nested = parts.flat_map(leaves);
            let whole = path.len() == 1;
            nested
                .map(|(name, first)| (name, if whole { first } else { origin.clone() }))
                .collect()
        }
        Some(name) => vec![(text(name), origin)],
        None => Vec::new(),
    }
}
