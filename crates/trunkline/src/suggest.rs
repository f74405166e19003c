//! Suggests what an unknown name may mean: "did you mean …?".

/// Less similar names are no help.
const SIMILAR: f64 = 0.75;

/// Returns the known name that is most similar to `name`, if one is.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    known
        .into_iter()
        .map(|known| (similarity(&wanted, &known.to_lowercase()), known))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}

/// Returns how similar two names are, from 0 to 1. Beginnings and typing errors count as similar.
fn similarity(wanted: &str, known: &str) -> f64 {
    let begins = wanted.chars().count() >= 3 && known.starts_with(wanted);
    if begins {
        0.95
    } else {
        strsim::jaro_winkler(wanted, known).min(strsim::normalized_damerau_levenshtein(wanted, known) + 0.2)
    }
}

/// Returns an error that begins with `problem` about an unknown name, with the most similar name and, after `all`, every known one.
pub(crate) fn unknown(problem: &str, name: &str, all: &str, known: &[&str]) -> anyhow::Error {
    let near = nearest(name, known.iter().copied());
    let question = near.map(|near| format!("; did you mean {near}?"));
    anyhow::anyhow!(
        "{problem} {name:?}{}\n  {all}: {}",
        question.unwrap_or_default(),
        known.join(", ")
    )
}

/// Returns `; did you mean twilio?`, or all known names.
pub(crate) fn question_or_list(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("; did you mean {near}?"),
        None if known.is_empty() => String::new(),
        None => format!("; there are: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names_are_suggested_and_others_are_not() {
        let known = ["twilio", "sendgrid", "mailgun", "date_sent", "status"];
        for (name, meant) in [
            ("twilo", Some("twilio")),
            ("Twilio", Some("twilio")),
            ("sengrid", Some("sendgrid")),
            ("send", Some("sendgrid")),
            ("date-sent", Some("date_sent")),
            ("acme", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), meant, "{name}");
        }
    }
}
