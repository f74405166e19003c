//! What ARCHITECTURE.md and CONTRIBUTING.md name: every path must exist, and every function must be where they say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::sources;

/// The most lines of ARCHITECTURE.md: one can read it in a sitting.
const LONGEST_ARCHITECTURE: usize = 350;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The texts between backticks, outside of code blocks.
fn code_spans(page: &str) -> Vec<&str> {
    page.split("```")
        .step_by(2)
        .flat_map(|prose| prose.split('`').skip(1).step_by(2))
        .collect()
}

/// The file or folder that a page means: from the root, or from `crates/`.
fn resolve(path: &str) -> Option<PathBuf> {
    [root().join(path), root().join("crates").join(path)]
        .into_iter()
        .find(|path| path.exists())
}

fn is_source(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "rs")
}

/// Whether a source text defines a function, type or constant of this name.
fn defines(source: &str, name: &str) -> bool {
    ["fn", "struct", "enum", "trait", "const"].iter().any(|kind| {
        let definition = format!("{kind} {name}");
        source.match_indices(&definition).any(|(at, _)| {
            source
                .get(at + definition.len()..)
                .and_then(|rest| rest.chars().next())
                .is_some_and(|next| !next.is_alphanumeric() && next != '_')
        })
    })
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[test]
fn the_pages_for_developers_name_only_what_exists() {
    let code: String = sources(&root().join("crates"))
        .unwrap()
        .into_iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();

    let (mut wrong, mut checked) = (BTreeSet::new(), 0);
    for page in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        for span in code_spans(&text) {
            if span.contains('/') && is_source(span) && resolve(span).is_none() {
                wrong.insert(format!("{page}: `{span}` does not exist"));
            }
            if let Some((owner, name)) = span.split_once("::")
                && is_identifier(owner)
                && is_identifier(name)
            {
                checked += 1;
                let is_module = owner.starts_with(|c: char| c.is_ascii_lowercase());
                if !defines(&code, name) || !is_module && !defines(&code, owner) {
                    wrong.insert(format!("{page}: `{span}` is defined nowhere"));
                }
            }
        }
        // `name` (`path.rs`)
        let between: Vec<&str> = text.split('`').collect();
        for window in between.windows(4).skip(1).step_by(2) {
            let &[name, " (", path, _] = window else { continue };
            let name = name.rsplit("::").next().unwrap();
            if is_identifier(name)
                && let Some(file) = resolve(path).filter(|_| is_source(path))
            {
                checked += 1;
                if !defines(&std::fs::read_to_string(file).unwrap(), name) {
                    wrong.insert(format!("{page}: `{name}` is not in `{path}`"));
                }
            }
        }
    }

    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(
        checked > 30,
        "only {checked} names were found: does the pages' form differ?"
    );
}

#[test]
fn the_architecture_can_be_read_in_a_sitting() {
    let lines = std::fs::read_to_string(root().join("ARCHITECTURE.md"))
        .unwrap()
        .lines()
        .count();
    assert!(
        lines <= LONGEST_ARCHITECTURE,
        "ARCHITECTURE.md has {lines} lines, more than {LONGEST_ARCHITECTURE}"
    );
}
