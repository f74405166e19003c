//! `events`: lists the newest events, or follows them.

use std::collections::VecDeque;

use serde_json::json;

use crate::cli::Events;
use crate::client::{Client, Event, Feed, Types};
use crate::event_line::{self, Remark};
use crate::lifecycle::Signals;
use crate::output;
use crate::table::{Column, Kind, Table};

/// The most events that the API returns in a page.
const PAGE: usize = 1_000;

/// Lists or follows events.
pub(crate) async fn run(client: &Client, options: &Events) -> anyhow::Result<()> {
    let types = Types::parse(&options.types)?;
    if options.follow {
        return follow(client, types, options.api.json).await;
    }
    let mut feed = Feed::from_oldest(types);
    let newest = newest(client, &mut feed, options.limit).await?;
    if options.api.json {
        return output::json(&json!({ "events": newest, "next_cursor": feed.cursor() }));
    }
    let mut table = Table::new([
        Column::new("time", Kind::Time),
        Column::new("type", Kind::Word),
        Column::new("connection", Kind::Connection),
        Column::new("integration", Kind::Word).rank(1),
        Column::new("about", Kind::Below),
        Column::new("event", Kind::Id).rank(2),
    ]);
    for event in &newest {
        table.row([
            event.timestamp.clone(),
            event.r#type.clone(),
            event.field("connection_id"),
            event.field("provider_config_key"),
            event_line::about(event),
            event.id.clone(),
        ]);
    }
    table.print("There are no such events.")
}

/// Reads the feed to its end, since it has no other order, and returns the last events.
async fn newest(client: &Client, feed: &mut Feed, wanted: usize) -> anyhow::Result<VecDeque<Event>> {
    let mut newest = VecDeque::new();
    loop {
        let page = feed.next(client, PAGE).await?;
        let is_last = page.len() < PAGE;
        newest.extend(page);
        newest.drain(..newest.len().saturating_sub(wanted));
        if is_last {
            return Ok(newest);
        }
    }
}

/// Prints new events until a signal ends the command, which is then a success.
async fn follow(client: &Client, types: Types, as_json: bool) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let mut feed = Feed::from_now(types);
    let print = async |event: Event| {
        if as_json {
            return output::line(serde_json::to_string(&event)?);
        }
        let about = event_line::about(&event);
        let remark = Remark {
            result: None,
            text: &about,
            values: std::slice::from_ref(&about),
        };
        event_line::print(&event, &remark)
    };
    let follow = async {
        // If the gateway is not there at first, its address is most likely wrong.
        let first = feed.next(client, PAGE).await?;
        output::note("Waiting for events; Ctrl-C ends this.");
        if !as_json {
            event_line::print_heading(&["about"])?;
        }
        for event in first {
            print(event).await?;
        }
        feed.follow(client, print).await
    };
    tokio::select! {
        failed = follow => failed,
        _ = signals.next() => Ok(()),
    }
}
