//! Checks a sync: the list, its schedule, and its windows.

use std::sync::Arc;
use std::time::Duration;

use domain::{ColumnKind, SyncName, Timestamp};

use super::model::{self, Columns, declared, timestamp};
use super::scope::Scope;
use crate::file::{Order, SyncFile};
use crate::paginate::PaginateFile;
use crate::schedule::Schedule;
use crate::source::Report;
use crate::sync::{BoundFormat, ListRequest, Lookback, Reread, Sync, Window};

pub(super) fn sync(
    name: &str,
    mut file: SyncFile,
    scope: &Scope,
    provider_list: Option<&PaginateFile>,
    report: &Report<'_>,
) -> Option<Sync> {
    let sync_name = report.take(name.parse::<SyncName>());
    let schedule = schedule(&file, report);
    let columns = model::columns(std::mem::take(&mut file.columns), &report.at("columns"));
    let model = model::model(&file, columns.clone(), report);
    lookback(&file, &report.at("lookback"));
    let (list, list_report) = match &file.paginate {
        Some(list) => (Some(list), report.at("paginate")),
        None => (provider_list, report.root().at("proxy").at("paginate")),
    };
    if list.is_none() {
        report.error("there is no \"paginate\", neither here nor under proxy: say how the list goes on");
    }
    let paginate = list.and_then(|list| list.check(&list_report));
    let request = request(file.request, list, scope, &report.at("request"));
    let records = file
        .records
        .or_else(|| list.and_then(|list| list.response_path.clone()));
    if let Some(window) = &mut file.window {
        let report = &report.at("window");
        self::window(window, file.order, &columns, report);
        if !report.has("shortest_retention") {
            // Runs read the longest lookback window regularly, so the provider must keep that much.
            let reach = file.lookback.iter().map(|lookback| lookback.reach).max();
            window.shortest_retention = reach.unwrap_or_default();
        }
    }
    if file.undated.is_some() && file.window.is_none() {
        report
            .at("undated")
            .error("goes with \"window\" alone: without one, each run reads the whole list");
    }
    if let Some(reread) = &mut file.reread {
        self::reread(reread, &file.key, &columns, scope, &report.at("reread"));
    }
    Some(Sync {
        name: sync_name?,
        description: file.description,
        model: Arc::new(model?),
        schedule: schedule?,
        auto_start: file.auto_start.unwrap_or(true),
        request,
        records: records.unwrap_or_default(),
        paginate: paginate?,
        newest_first: file.order == Order::NewestFirst,
        window: file.window,
        lookback: file.lookback,
        reread: file.reread,
        undated: file.undated,
        track_deletes: file.deletes.track,
        delete_guard: file.deletes.guard,
    })
}

fn schedule(file: &SyncFile, report: &Report<'_>) -> Option<Schedule> {
    if file.timezone.is_some() && file.cron.is_none() {
        report
            .at("timezone")
            .error("goes with \"cron\" alone: an interval knows no time of day");
    }
    match (&file.runs, &file.cron) {
        (Some(every), None) => report.at("runs").take(Schedule::parse_every(every)),
        (None, Some(cron)) => report
            .at("cron")
            .take(Schedule::parse_cron(cron, file.timezone.as_deref())),
        _ => {
            report.error("needs either \"runs\", such as every 5 minutes, or \"cron\"");
            None
        }
    }
}

fn request(
    mut request: ListRequest,
    list: Option<&PaginateFile>,
    scope: &Scope,
    report: &Report<'_>,
) -> ListRequest {
    scope.server(request.server.as_ref(), report);
    scope.path(&mut request.path, &report.at("path"));
    scope.pairs(&request.query, &report.at("query"));
    scope.pairs(&request.headers, &report.at("headers"));
    if let Some((name, size)) = list.and_then(PaginateFile::size) {
        let written = request.query.iter().any(|(known, _)| known == name);
        if let Some(size) = size.filter(|_| !written) {
            request.query.push((name.to_owned(), size.to_string().into()));
        }
        request.size_parameter = Some(name.to_owned());
    }
    request
}

/// Checks that a length of time is whole days if bounds are written as dates.
fn whole_days(format: BoundFormat, length: Option<Duration>, report: &Report<'_>) {
    let parts = |length: Duration| !length.as_secs().is_multiple_of(Timestamp::DAY.as_secs());
    if format == BoundFormat::Date && length.is_some_and(parts) {
        report.error("must be whole days, since the window's bounds are written as dates");
    }
}

fn window(window: &Window, order: Order, columns: &Columns, report: &Report<'_>) {
    bounds(window, order, report);
    timestamp(window.column.as_str(), columns, &report.at("column"));
    for (key, length) in [
        ("step", Some(window.step)),
        ("longest", window.longest),
        ("retention", Some(window.retention)),
        ("shortest_retention", Some(window.shortest_retention)),
    ] {
        whole_days(window.format, length, &report.at(key));
    }
}

/// Checks which bounds the provider supports, and the keys that they need.
fn bounds(window: &Window, order: Order, report: &Report<'_>) {
    // Without `from` no bounds are sent, so the format does not matter.
    if window.from.is_some() && !report.has("format") {
        report.error("\"format\" is missing: say how bounds are written");
    }
    if window.to.is_some() && window.inclusive.is_none() {
        report.error("\"inclusive\" is missing: say whether records at the upper bound are included");
    }
    match (&window.from, &window.to) {
        (None, Some(_)) => report.at("to").error("goes with \"from\" alone"),
        (None, None) if order != Order::NewestFirst => report.error(
            "needs \"from\", or \"order: newest_first\": without either nothing tells where a range ends",
        ),
        _ => {}
    }
    if window.to.is_none() {
        for key in ["longest", "beyond_retention", "shortest_retention"] {
            if report.has(key) {
                report
                    .at(key)
                    .error("goes with \"to\" alone: without an upper bound a range cannot be cut");
            }
        }
    }
}

fn lookback(file: &SyncFile, report: &Report<'_>) {
    let Some(window) = &file.window else {
        if !file.lookback.is_empty() {
            report.error("goes with \"window\" alone: without one, each run reads the whole list");
        }
        return;
    };
    if file.lookback.is_empty() {
        report.error("is required with \"window\": what each run reads again, such as { reach: 3 days }; without it nothing new would be read",
        );
    }
    for (index, Lookback { reach, .. }) in file.lookback.iter().enumerate() {
        let report = &report.at(index).at("reach");
        whole_days(window.format, Some(*reach), report);
        if window.longest.is_some_and(|longest| *reach > longest) {
            report.error("is longer than the window's \"longest\": the provider would refuse it");
        }
    }
}

fn reread(reread: &mut Reread, key: &str, columns: &Columns, scope: &Scope, report: &Report<'_>) {
    if let Some(unfinished) = &reread.unfinished {
        let column = unfinished.column.as_str();
        let report = &report.at("where").at(column);
        let declared = declared(column, columns, report);
        if declared.is_some_and(|(_, column)| column.kind != ColumnKind::Text) {
            report.error("must be a column of type text, since its values are compared as text");
        }
    }
    let (key, report) = (format!("record.{key}"), report.at("path"));
    scope.and(key.clone()).path(&mut reread.path, &report);
    let mut placeholders = reread.path.placeholders().into_iter();
    if reread.path.error.is_none() && !placeholders.any(|name| name.starts_with("record.")) {
        report.error(format!(
            "must hold ${{{key}}}, or every request would read the same record"
        ));
    }
}
