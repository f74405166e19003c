//! Prose for a terminal: broken between words, never within one.

use unicode_width::UnicodeWidthStr;

/// The text in lines of `width` columns at most. A word that is longer than a line stands on a line of its own.
pub(crate) fn words(text: &str, width: usize) -> Vec<String> {
    let (mut lines, mut current) = (Vec::new(), String::new());
    for word in text.split(' ') {
        if !current.is_empty() && current.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut current));
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(word);
    }
    lines.push(current);
    lines
}

/// Paragraphs in lines of `width` columns. What continues a line begins below its first letter.
pub(crate) fn paragraphs(text: &str, width: usize) -> String {
    let mut wrapped = Vec::new();
    for line in text.split('\n') {
        let body = line.trim_start_matches(' ');
        let indent = " ".repeat(line.len() - body.len());
        let room = width.saturating_sub(indent.len());
        wrapped.extend(
            words(body, room)
                .into_iter()
                .map(|part| format!("{indent}{part}")),
        );
    }
    wrapped.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_keep_their_indent() {
        assert_eq!(
            paragraphs("error: one two three\n  because: four five", 14),
            "error: one two\nthree\n  because:\n  four five"
        );
        assert_eq!(paragraphs("", 14), "");
        assert_eq!(
            paragraphs("see https://example.org/very/long now", 10),
            "see\nhttps://example.org/very/long\nnow"
        );
    }

    #[test]
    fn wide_letters_count_twice() {
        assert_eq!(words("日本 語日 本", 5), ["日本", "語日", "本"]);
    }
}
