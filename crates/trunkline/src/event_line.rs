//! Events as lines, for commands that print them as they happen: aligned on a terminal, tab-separated values in a pipe.

use serde_json::Value as Json;
use unicode_width::UnicodeWidthStr;

use crate::client::{Event, response};
use crate::table::{self, is_uuid};
use crate::{output, terminal, when};

/// The width of the longest type, `connection.recovered`.
const TYPE: usize = 20;
/// Most names of connections are shorter. A longer one moves the rest of its line.
const CONNECTION: usize = 12;
/// How much of a UUID is shown, as in tables.
const SHORT_UUID: usize = 8;
/// Blanks before a text that has no room on its line.
const INDENT: &str = "  ";

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Whether something went well, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Good,
    Bad,
}

/// What a command says of an event.
pub(crate) struct Remark<'a> {
    /// A result in a few letters, with its colour.
    pub(crate) result: Option<(String, Mood)>,
    /// A longer text, which may have no room on the line.
    pub(crate) text: &'a str,
    /// The same for programs: the values of the command's own columns.
    pub(crate) values: &'a [String],
}

/// Writes the headings of the columns, with the command's `own` columns among them. A terminal needs none.
pub(crate) fn print_heading(own: &[&str]) -> anyhow::Result<()> {
    if terminal::is_terminal() {
        return Ok(());
    }
    let columns = [&["time", "type", "connection", "integration"], own, &["event"]].concat();
    output::line(columns.join("\t"))
}

/// Writes the line of an event.
pub(crate) fn print(event: &Event, remark: &Remark<'_>) -> anyhow::Result<()> {
    if let Some(width) = terminal::width() {
        return output::line(shown(event, remark, width, terminal::styles()));
    }
    let mut cells = vec![event.timestamp.clone(), event.r#type.clone()];
    cells.extend(["connection_id", "provider_config_key"].map(|name| event.field(name)));
    cells.extend_from_slice(remark.values);
    cells.push(event.id.clone());
    output::line(table::tab_separated(&cells))
}

fn shown(event: &Event, remark: &Remark<'_>, width: usize, styles: bool) -> String {
    let styled = |style: &str, text: &str| {
        if styles {
            format!("{style}{text}{PLAIN}")
        } else {
            text.to_owned()
        }
    };
    let connection = connection(event);
    let time = when::time_of_day(&event.timestamp);
    let head = format!("{:<TYPE$}  {connection:<CONNECTION$}", plain(&event.r#type));
    let (result, mood) = remark.result.clone().unwrap_or((String::new(), Mood::Good));
    let colour = if mood == Mood::Good { GREEN } else { RED };
    let used = [&time, &head, &result]
        .map(|text| text.width() + 2)
        .iter()
        .sum::<usize>();
    let mut line = format!("{}  {head}", styled(DIM, &time));
    if result.is_empty() {
        line.truncate(line.trim_end().len());
    } else {
        line = format!("{line}  {}", styled(colour, &result));
    }
    let text = plain(remark.text);
    if text.is_empty() {
        return line;
    }
    if used + text.width() <= width {
        // Aligned even if the connection is empty.
        let blanks = if result.is_empty() {
            " ".repeat(head.width() - head.trim_end().width())
        } else {
            String::new()
        };
        return format!("{line}{blanks}  {text}");
    }
    let options = output::wrapping(width)
        .initial_indent(INDENT)
        .subsequent_indent(INDENT);
    format!("{line}\n{}", textwrap::fill(&text, options))
}

/// Returns the connection of an event as tables show it: a UUID in its short form, which commands accept, and any other id whole.
fn connection(event: &Event) -> String {
    let id = event.field("connection_id");
    if is_uuid(&id) {
        id.chars().take(SHORT_UUID).collect()
    } else {
        plain(&id)
    }
}

/// A value must not break a line or control the terminal.
fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Returns what happened in a few words; empty if the type says it all.
pub(crate) fn about(event: &Event) -> String {
    let error = response::text(&event.data, "/error/message");
    let of = |name: &str| event.field(name);
    match event.r#type.as_str() {
        "sync.succeeded" => format!("{}: {}", sync(event), counts(&event.data)),
        "sync.failed" => format!("{}: {error}", sync(event)),
        "action.succeeded" => of("action"),
        "action.failed" => format!("{}: {error}", of("action")),
        "connection.error" => error.to_owned(),
        "endpoint.disabled" => format!("{}: {}", of("endpoint_id"), of("reason")),
        "provider.event" => of("type"),
        _ => String::new(),
    }
}

fn sync(event: &Event) -> String {
    match (event.field("sync"), event.field("variant").as_str()) {
        (sync, "" | "base") => sync,
        (sync, variant) => format!("{sync} ({variant})"),
    }
}

/// Returns how many records a run changed: `12 new, 1 deleted`.
fn counts(data: &Json) -> String {
    let models = response::list(data, "models");
    let sum = |name: &str| {
        let counts = models.iter().filter_map(|model| model.get(name)?.as_u64());
        counts.sum::<u64>()
    };
    let counts = [("new", "added"), ("updated", "updated"), ("deleted", "deleted")];
    let counts = counts.map(|(word, name)| (word, sum(name)));
    let changed = counts.iter().filter(|(_, count)| *count > 0);
    let changed: Vec<String> = changed
        .map(|(word, count)| format!("{} {word}", table::count(*count)))
        .collect();
    if changed.is_empty() {
        return "nothing changed".to_owned();
    }
    changed.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(event_type: &str, data: &Json) -> Event {
        let timestamp = "2026-11-29T10:00:00.5Z";
        let event = json!({ "id": "evt_1", "type": event_type, "timestamp": timestamp, "data": data });
        serde_json::from_value(event).unwrap()
    }

    fn synced() -> Event {
        let models = json!([{ "model": "A", "added": 1200, "updated": 1, "deleted": 0 }, { "model": "B", "added": 1 }]);
        event(
            "sync.succeeded",
            &json!({ "connection_id": "acme", "sync": "acme-a", "variant": "base", "models": models }),
        )
    }

    #[test]
    fn what_happened_is_said_in_a_few_words() {
        assert_eq!(about(&synced()), "acme-a: 1,201 new, 1 updated");
        let failed = json!({ "sync": "acme-a", "variant": "eu", "error": { "message": "slow" } });
        assert_eq!(about(&event("sync.failed", &failed)), "acme-a (eu): slow");
        let unchanged = json!({ "sync": "acme-a", "models": [{ "added": 0 }] });
        assert_eq!(
            about(&event("sync.succeeded", &unchanged)),
            "acme-a: nothing changed"
        );
        assert_eq!(about(&event("connection.created", &json!({}))), "");
        assert_eq!(about(&event("something.new", &json!({}))), "");
    }

    #[test]
    fn a_line_has_time_type_connection_and_result_and_a_text_without_room_is_below() {
        let result = |text: &str| Some((text.to_owned(), Mood::Bad));
        let line = |result, text, width| {
            let values = [];
            let remark = Remark {
                result,
                text,
                values: &values,
            };
            shown(&synced(), &remark, width, false)
        };
        let head = "10:00:00Z  sync.succeeded        acme";
        assert_eq!(line(None, "", 80), head);
        assert_eq!(line(None, "a\nb", 80), format!("{head}          a b"));
        assert_eq!(
            line(result("500  12 ms"), "", 80),
            format!("{head}          500  12 ms")
        );
        assert_eq!(
            line(result("500  12 ms"), "the text of an error", 70),
            format!("{head}          500  12 ms\n  the text of an error")
        );
        let styled = Remark {
            result: result("500"),
            text: "",
            values: &[],
        };
        assert_eq!(
            shown(&synced(), &styled, 80, true),
            "\u{1b}[2m10:00:00Z\u{1b}[0m  sync.succeeded        acme          \u{1b}[31m500\u{1b}[0m"
        );
    }
}
