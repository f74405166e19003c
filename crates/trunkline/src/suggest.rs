//! "Did you mean …": what is likely meant by a name that is not there.

/// Names less alike than this are no help.
const ALIKE: f64 = 0.75;

/// The known name that is most like `name`, if one is.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    known
        .into_iter()
        .map(|known| (likeness(&wanted, &known.to_lowercase()), known))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}

/// Typing errors and beginnings count as alike.
fn likeness(wanted: &str, known: &str) -> f64 {
    let begins = wanted.chars().count() >= 3 && known.starts_with(wanted);
    if begins {
        0.95
    } else {
        strsim::jaro_winkler(wanted, known).min(strsim::normalized_damerau_levenshtein(wanted, known) + 0.2)
    }
}

/// `; did you mean twilio?` or nothing.
pub(crate) fn question<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known)
        .map(|known| format!("; did you mean {known}?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_found_and_other_names_are_not() {
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
