//! Checks what events mean.

use domain::{ColumnKind, Parse, TableName};
use indexmap::IndexMap;

use super::super::Syncs;
use super::super::model::declared;
use super::super::scope::Scope;
use super::sync;
use crate::source::Report;
use crate::sync::Sync;
use crate::template::Template;
use crate::webhooks::{
    Effect, EventField, EventFile, EventFiles, EventPattern, EventRule, FieldFile, FieldSpec, NewerBy,
    NewerByFile,
};
use crate::written::split_path;

pub(super) fn events(
    files: IndexMap<String, EventFiles>,
    syncs: &Syncs,
    message: &Scope,
    report: &Report<'_>,
) -> Vec<(EventPattern, Vec<EventRule>)> {
    let mut events: Vec<(EventPattern, Vec<EventRule>)> = Vec::new();
    for (kind, EventFiles(files)) in files {
        let report = report.at(&kind);
        if let Some((earlier, _)) = events.iter().find(|(earlier, _)| earlier.matches(&kind)) {
            let earlier = earlier.as_str();
            report.error(format!(
                "is never used, because {earlier:?} matches it and is listed first: move it before that"
            ));
        }
        let mut rules = Vec::new();
        for (index, file) in files.into_iter().enumerate() {
            let report = report.item(index);
            rules.extend(rule(file, syncs, message, &report));
        }
        events.push((EventPattern::new(kind), rules));
    }
    events
}

fn rule(file: EventFile, syncs: &Syncs, message: &Scope, report: &Report<'_>) -> Option<EventRule> {
    let sync = sync(&file.sync, syncs, &report.at("sync"))?;
    if let Some(key) = &file.key {
        message.template(key, &report.at("key"));
    }
    let brings = file.record.is_some() || !file.fields.is_empty();
    let fields = fields(file.fields, sync, &report.at("fields"));
    let keep = file.keep.iter().enumerate().filter_map(|(index, name)| {
        let report = report.at("keep");
        let report = report.item(index);
        declared(name, &sync.model.columns, &report).map(|(name, _)| name)
    });
    let keep: Vec<TableName> = keep.collect();
    let newer_by = file
        .newer_by
        .map(|file| newer_by(file, sync, message, &report.at("newer_by")));
    let newer_by = match newer_by {
        Some(None) => return None,
        Some(newer_by) => newer_by,
        None => None,
    };
    let (record, key) = (file.record, file.key);
    let others = [file.deletes, file.run].iter().filter(|set| **set).count();
    if others > 1 || others == 1 && (brings || file.reread) || others == 0 && !brings && !file.reread {
        report.error("needs one of \"record\", \"fields\", \"reread\", \"deletes\" and \"run\"; only \"reread\" can be combined, with \"record\" or \"fields\"");
        return None;
    }
    let effect = effect(
        Parts {
            record,
            key,
            fields,
            reread: file.reread,
            deletes: file.deletes,
        },
        report,
    )?;
    let can_reread = sync.reread.is_some();
    if effect.rereads() && !can_reread {
        let name = &sync.name;
        report.at("reread").error(format!(
            "the sync {name} has no \"reread\", so its records cannot be read by key"
        ));
    }
    let writes = matches!(effect, Effect::Record { .. } | Effect::Fields { .. });
    if writes && newer_by.is_none() && !can_reread {
        report.error("\"newer_by\" is missing: events come late and out of order, and this sync cannot read a record again by key");
    }
    if !writes && newer_by.is_some() && !matches!(effect, Effect::Delete { .. }) {
        report
            .at("newer_by")
            .error("goes with \"record\", \"fields\" and \"deletes\" alone");
    }
    if !matches!(effect, Effect::Record { .. }) && !keep.is_empty() {
        report
            .at("keep")
            .error("goes with \"record\" alone: other events change no column that they do not name");
    }
    Some(EventRule {
        sync: file.sync,
        effect,
        newer_by,
        keep,
    })
}

/// What a rule of a file says of its effect.
struct Parts {
    record: Option<Vec<String>>,
    key: Option<Template>,
    fields: IndexMap<TableName, EventField>,
    reread: bool,
    deletes: bool,
}

fn effect(parts: Parts, report: &Report<'_>) -> Option<Effect> {
    let Parts {
        record,
        key,
        fields,
        reread,
        deletes,
    } = parts;
    let needs_key = record.is_none() && (!fields.is_empty() || reread || deletes);
    if needs_key != key.is_some() {
        if needs_key {
            report.error(
                "\"key\" is missing: say where in the event the record's key is, such as ${body.data.id}",
            );
        } else {
            report
                .at("key")
                .error("does not go with \"record\", which contains the key, nor with \"run\"");
        }
        return None;
    }
    Some(match (record, key) {
        (Some(path), _) => Effect::Record { path, fields, reread },
        (None, Some(key)) if deletes => Effect::Delete { key },
        (None, Some(key)) if fields.is_empty() => Effect::Reread { key },
        (None, Some(key)) => Effect::Fields { key, fields, reread },
        (None, None) => Effect::Run,
    })
}

fn fields(
    files: IndexMap<String, FieldFile>,
    sync: &Sync,
    report: &Report<'_>,
) -> IndexMap<TableName, EventField> {
    let mut fields = IndexMap::new();
    for (name, file) in files {
        let report = report.at(&name);
        let FieldSpec {
            path,
            value,
            lowercase,
            parse,
        } = file.into();
        let Some((name, column)) = declared(&name, &sync.model.columns, &report) else {
            continue;
        };
        if parse.is_some() && column.kind != ColumnKind::Timestamp {
            report.at("parse").error("is only for columns of type timestamp");
        }
        if lowercase && column.kind != ColumnKind::Text {
            report.at("lowercase").error("is only for columns of type text");
        }
        let field = match (path, value) {
            (Some(path), None) if !split_path(&path).is_empty() => EventField::At {
                path: split_path(&path),
                lowercase,
                parse,
            },
            (None, Some(value)) if !lowercase && parse.is_none() => EventField::Fixed(value),
            _ => {
                report.error(
                    "needs either \"path\", a path in the event such as data.status, or \"value\" alone",
                );
                EventField::Fixed(String::new())
            }
        };
        fields.insert(name, field);
    }
    fields
}

fn newer_by(file: NewerByFile, sync: &Sync, message: &Scope, report: &Report<'_>) -> Option<NewerBy> {
    if file.parse.is_some() && file.time.is_none() {
        report.at("parse").error("goes with \"time\" alone");
    }
    if file.parse == Some(Parse::Plain) {
        report
            .at("parse")
            .error("a time is written as rfc2822, iso8601, unix_seconds or unix_millis");
    }
    let columns = &sync.model.columns;
    match (file.column, file.time, file.sequence, file.rank) {
        (Some(name), None, None, None) => {
            let report = &report.at("column");
            let (name, column) = declared(&name, columns, report)?;
            if !matches!(column.kind, ColumnKind::Timestamp | ColumnKind::Integer) {
                report.error("must be a column of type timestamp or integer");
            }
            Some(NewerBy::Column(name))
        }
        (None, Some(value), None, None) => {
            message.template(&value, &report.at("time"));
            let parse = file.parse.unwrap_or(Parse::Iso8601);
            Some(NewerBy::Time { value, parse })
        }
        (None, None, Some(sequence), None) => {
            message.template(&sequence, &report.at("sequence"));
            Some(NewerBy::Sequence(sequence))
        }
        (None, None, None, Some(rank)) => {
            let (name, steps) = rank.into_iter().next()?;
            let report = &report.at("rank").at(&name);
            let (column, declared) = declared(&name, columns, report)?;
            if declared.kind != ColumnKind::Text {
                report.error("must be a column of type text, since its values are compared as text");
            }
            let steps: Vec<Vec<String>> = steps.into_iter().map(|step| step.0).collect();
            let mut seen = std::collections::HashSet::new();
            if let Some(twice) = steps.iter().flatten().find(|state| !seen.insert(*state)) {
                report.error(format!("has the state {twice:?} twice"));
            }
            if steps.len() < 2 {
                report.error("needs at least two steps, first to last: [queued, sent, [delivered, failed]]");
            }
            Some(NewerBy::Rank { column, steps })
        }
        _ => {
            report.error("needs one of \"column\", \"time\", \"sequence\" and \"rank\"");
            None
        }
    }
}
