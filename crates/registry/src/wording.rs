//! Wording that error messages have in common.

/// Joins words into `a, b or c`, where `last` is the word before the last one.
pub(crate) fn list<T: AsRef<str>>(words: impl IntoIterator<Item = T>, last: &str) -> String {
    let words: Vec<T> = words.into_iter().collect();
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [] => "none".to_owned(),
        [only] => (*only).to_owned(),
        [most @ .., end] => format!("{} {last} {end}", most.join(", ")),
    }
}

/// Returns the known word that `word` most likely means, ignoring case; `None` if none is similar enough.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_ascii_lowercase();
    let distances = known.into_iter().map(|known| {
        let distance = strsim::damerau_levenshtein(&lower, &known.to_ascii_lowercase());
        (distance, known)
    });
    let (distance, nearest) = distances.min()?;
    (distance * 3 <= nearest.len().max(3)).then_some(nearest)
}
