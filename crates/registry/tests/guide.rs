//! The guide to provider files: its examples are valid, its errors are those of the check, and no key is missing.

#![expect(clippy::unwrap_used, reason = "tests fail by a panic")]

use std::collections::BTreeSet;

use registry::Registry;
use serde_json::Value as Json;

const GUIDE: &str = include_str!("../../../docs/provider-file.md");

/// A fenced block of the guide.
struct Block {
    language: &'static str,
    text: String,
}

impl Block {
    /// The name of the file that the block shows, if it shows a complete one.
    fn file(&self) -> Option<&str> {
        let name = self.text.lines().next()?.strip_prefix("# file: ")?;
        (self.language == "yaml").then_some(name)
    }

    fn is_broken(&self) -> bool {
        self.text.lines().nth(1) == Some("# broken")
    }
}

/// Returns all fenced blocks, from top to bottom.
fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in GUIDE.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                let text = String::new();
                open = Some(Block { language, text });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block of the guide is not closed");
    blocks
}

/// Returns the result of checking a block: the providers and warnings, or the errors, as shown in its folder.
fn check(block: &Block) -> Result<(usize, Vec<String>), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(block.file().unwrap());
    std::fs::write(&path, &block.text).unwrap();
    let checked = Registry::check_file(&path).map_err(|error| {
        let prefix = format!("{}/", folder.path().display());
        error.to_string().replace(&prefix, "")
    })?;
    let checked = checked.providers;
    let warnings = checked.iter().flat_map(|provider| &provider.warnings);
    Ok((checked.len(), warnings.map(ToString::to_string).collect()))
}

#[test]
fn every_file_of_the_guide_passes_the_check_without_a_warning() {
    let blocks = blocks();
    let files: Vec<_> = blocks
        .iter()
        .filter(|block| block.file().is_some() && !block.is_broken())
        .collect();
    assert!(files.len() >= 3, "the guide shows {} whole files", files.len());
    for block in files {
        let name = block.file().unwrap();
        let (providers, warnings) = check(block).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        assert!(providers > 0, "{name} holds no provider");
        assert_eq!(warnings, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn the_broken_files_of_the_guide_have_the_errors_that_it_shows() {
    let blocks = blocks();
    let mut broken = 0;
    for pair in blocks.windows(2).filter(|pair| pair[0].is_broken()) {
        broken += 1;
        assert_eq!(pair[1].language, "text", "the errors follow the file");
        let reported = check(&pair[0]).expect_err("a broken file is refused");
        assert_eq!(reported.trim_end(), pair[1].text.trim_end());
    }
    let marked = blocks.iter().filter(|block| block.is_broken()).count();
    assert!(broken > 0 && broken == marked);
}

#[test]
fn the_files_of_the_guide_load_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    for block in blocks().iter().filter(|block| !block.is_broken()) {
        if let Some(name) = block.file() {
            std::fs::write(folder.path().join(name), &block.text).unwrap();
        }
    }
    let registry = Registry::load(Some(folder.path())).unwrap_or_else(|errors| panic!("{errors}"));
    for name in ["tickets", "shop", "acme", "acme-test"] {
        assert!(registry.get(name).is_some(), "{name}");
    }
    let skipped: Vec<_> = registry.skipped().iter().map(|entry| &entry.name).collect();
    assert_eq!(skipped, ["globex"]);
}

#[test]
fn the_guide_names_every_key_and_word_of_the_format() {
    let mut words = BTreeSet::new();
    collect(&registry::json_schema(), &mut words);
    assert!(words.contains("cursor_from_last_record") && words.contains("rfc2822"));
    let silent: Vec<_> = words
        .iter()
        .filter(|word| !GUIDE.contains(&format!("`{word}`")))
        .collect();
    assert!(
        silent.is_empty(),
        "docs/provider-file.md says nothing of {silent:?}"
    );
}

/// Collects the names of all properties of a schema, and the words that its values may be.
fn collect(schema: &Json, words: &mut BTreeSet<String>) {
    if let Some(properties) = schema.get("properties").and_then(Json::as_object) {
        words.extend(properties.keys().cloned());
    }
    let allowed = schema.get("enum").and_then(Json::as_array);
    let constant = schema.get("const");
    words.extend(
        allowed
            .into_iter()
            .flatten()
            .chain(constant)
            .filter_map(|word| word.as_str().map(str::to_owned)),
    );
    match schema {
        Json::Object(object) => object.values().for_each(|inner| collect(inner, words)),
        Json::Array(items) => items.iter().for_each(|inner| collect(inner, words)),
        _ => {}
    }
}
