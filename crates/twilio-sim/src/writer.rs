//! The hot path: writes a row directly into a JSON buffer. A test compares the result with serde's.

use crate::dates::write_rfc2822;
use crate::plan::{Address, Body};
use crate::row::{Price, Row, Tags};

/// Appends the row as the JSON object of the API.
pub(crate) fn write_row(out: &mut Vec<u8>, row: &Row<'_>) {
    out.extend_from_slice(b"{\"body\":\"");
    match row.body {
        Body::Pooled(text, number) => {
            let (head, tail) = text.escaped();
            out.extend_from_slice(head);
            write_number(out, number);
            out.extend_from_slice(tail);
        }
        Body::Text(text) => write_escaped(out, text),
    }
    out.extend_from_slice(b"\",\"num_segments\":\"");
    write_number(out, u64::from(row.segments));
    out.extend_from_slice(b"\",\"direction\":\"");
    out.extend_from_slice(row.direction.as_str().as_bytes());
    out.extend_from_slice(b"\",\"from\":");
    match row.from {
        Some(from) => write_address(out, from),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"date_updated\":");
    write_date(out, Some(row.updated));
    out.extend_from_slice(b",\"price\":");
    write_price(out, row.price);
    out.extend_from_slice(b",\"error_message\":");
    write_text(out, row.error_message);
    out.extend_from_slice(b",\"uri\":\"");
    write_uri(out, row);
    out.extend_from_slice(b".json\",\"account_sid\":\"");
    out.extend_from_slice(row.account.as_bytes());
    out.extend_from_slice(b"\",\"num_media\":\"");
    write_number(out, u64::from(row.media));
    out.extend_from_slice(b"\",\"to\":");
    write_address(out, row.to);
    out.extend_from_slice(b",\"date_created\":");
    write_date(out, Some(row.created));
    out.extend_from_slice(b",\"status\":\"");
    out.extend_from_slice(row.status.as_str().as_bytes());
    out.extend_from_slice(b"\",\"sid\":\"");
    out.extend_from_slice(row.prefix.as_bytes());
    out.extend_from_slice(&row.digits);
    out.extend_from_slice(b"\",\"date_sent\":");
    write_date(out, row.sent);
    out.extend_from_slice(b",\"messaging_service_sid\":");
    write_text(out, row.service);
    out.extend_from_slice(b",\"error_code\":");
    match row.error {
        Some(code) => out.extend_from_slice(code.to_string().as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(
        b",\"price_unit\":\"USD\",\"api_version\":\"2010-04-01\",\"subresource_uris\":{\"media\":\"",
    );
    write_uri(out, row);
    out.extend_from_slice(b"/Media.json\",\"feedback\":\"");
    write_uri(out, row);
    out.extend_from_slice(b"/Feedback.json\"}");
    write_tags(out, row.tags);
    out.push(b'}');
}

fn write_uri(out: &mut Vec<u8>, row: &Row<'_>) {
    out.extend_from_slice(b"/2010-04-01/Accounts/");
    out.extend_from_slice(row.account.as_bytes());
    out.extend_from_slice(b"/Messages/");
    out.extend_from_slice(row.prefix.as_bytes());
    out.extend_from_slice(&row.digits);
}

fn write_tags(out: &mut Vec<u8>, tags: Option<Tags<'_>>) {
    match tags {
        None => {}
        Some(Tags::Made(tag)) => {
            out.extend_from_slice(b",\"tags\":{\"campaign\":\"");
            write_escaped(out, tag.campaign);
            out.extend_from_slice(b"\",\"variant\":\"");
            write_number(out, tag.variant);
            out.extend_from_slice(b"\"}");
        }
        Some(Tags::Given(map)) => {
            out.extend_from_slice(b",\"tags\":");
            // Writing to memory cannot fail.
            let _ = serde_json::to_writer(out, map);
        }
    }
}

fn write_date(out: &mut Vec<u8>, at: Option<i64>) {
    match at {
        Some(at) => {
            out.push(b'"');
            write_rfc2822(out, at);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

fn write_price(out: &mut Vec<u8>, price: Option<Price<'_>>) {
    match price {
        None => out.extend_from_slice(b"null"),
        Some(Price::Text(text)) => write_text(out, Some(text)),
        Some(Price::Units(units)) => {
            out.extend_from_slice(b"\"-");
            write_number(out, u64::from(units / 100_000));
            out.push(b'.');
            let rest = units % 100_000;
            for divisor in [10_000, 1000, 100, 10, 1] {
                out.push(digit(u64::from(rest / divisor)));
            }
            out.push(b'"');
        }
    }
}

fn write_address(out: &mut Vec<u8>, address: Address<'_>) {
    match address {
        Address::Phone(number) => {
            out.extend_from_slice(b"\"+");
            write_number(out, number);
            out.push(b'"');
        }
        Address::WhatsApp(number) => {
            out.extend_from_slice(b"\"whatsapp:+");
            write_number(out, number);
            out.push(b'"');
        }
        Address::Text(text) => write_text(out, Some(text)),
    }
}

fn write_text(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => {
            out.push(b'"');
            write_escaped(out, text);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

fn write_escaped(out: &mut Vec<u8>, text: &str) {
    let plain = text
        .bytes()
        .all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let quoted = serde_json::to_vec(text).unwrap_or_default();
    out.extend_from_slice(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default());
}

/// Appends an integer in decimal.
pub(crate) fn write_number(out: &mut Vec<u8>, number: u64) {
    if number < 10 {
        out.push(digit(number));
        return;
    }
    let start = out.len();
    let mut rest = number;
    while rest > 0 {
        out.push(digit(rest));
        rest /= 10;
    }
    if let Some(written) = out.get_mut(start..) {
        written.reverse();
    }
}

fn digit(number: u64) -> u8 {
    b'0' + u8::try_from(number % 10).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::calendar::Calendar;
    use crate::change::{Mutation, NewMessage, Patch};
    use crate::iterate::ALWAYS;
    use crate::message_store::MessageStore;
    use crate::plan::Planner;

    #[test]
    fn a_row_is_written_like_serde_writes_its_message() {
        let base = 1_795_000_000;
        let calendar = Calendar::new(9, 5000, base, 20);
        let mut store = MessageStore::new(
            "AC00000000000000000000000000000009".to_owned(),
            Planner::new(9, base, 50),
            calendar,
            400,
        );
        store.mutate(
            &Mutation {
                seed: 1,
                share: 0.3,
                within_days: None,
                kinds: Vec::new(),
            },
            base,
        );
        let body = Some("\u{0} \"quoted\" \\ \n ünï 😀".to_owned());
        let rank = store.insert(
            NewMessage {
                body,
                from: Some("A\"B".to_owned()),
                ..NewMessage::default()
            },
            base,
        );
        let tags = Map::from_iter([("k\n".to_owned(), serde_json::json!([1, null]))]);
        store.patch(
            rank,
            Patch {
                price: Some(Some("-1\t".to_owned())),
                tags: Some(tags),
                ..Patch::default()
            },
            base,
        );
        for now in [base, base + 40, base + 90_000, base + 900_000] {
            store.settle(now);
            let keys: Vec<_> = store.newest_first(ALWAYS, None, now).collect();
            for key in keys {
                let row = store.row_at(key, now).unwrap();
                let mut written = Vec::new();
                write_row(&mut written, &row);
                let expected = serde_json::to_string(&row.to_message()).unwrap();
                assert_eq!(String::from_utf8(written).unwrap(), expected);
            }
        }
    }
}
