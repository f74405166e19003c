//! What concerns every call: verification, retries, limits, errors.

use std::ops::RangeInclusive;

use regex::Regex;

use super::fields;
use super::scope::Scope;
use crate::file::{
    CheckFile, ErrorInBodyFile, ErrorsFile, InBodyFile, LimitsFile, MethodName, RetryFile, VerificationFile,
};
use crate::path::{Path, dotted};
use crate::source::Report;
use crate::{Check, ErrorInBody, ErrorRules, Limits, ProviderLimits, RetryRules, Verification, WaitInBody};

/// Calls under way at once for a provider that says nothing.
const CONCURRENCY: u32 = 4;

pub(super) fn verification(
    file: Option<&VerificationFile>,
    scope: &Scope,
    report: &mut Report<'_>,
) -> Option<Verification> {
    let path = Path::default().at("proxy").at("verification");
    let Some(file) = file else {
        report.warn(&path, "there is no verification: any credentials would be taken. Name an endpoint that a good key may read");
        return None;
    };
    if file.endpoints.0.is_empty() {
        report.error(&path.at("endpoints"), "must name at least one path");
    }
    let endpoints = file.endpoints.0.iter().enumerate();
    let moment = scope.at_a_moment();
    let endpoints = endpoints
        .filter_map(|(index, text)| moment.path(text, &path.at("endpoints").at(index), report))
        .collect();
    Some(Verification {
        method: method(file.method).to_owned(),
        endpoints,
        headers: scope
            .within_call()
            .pairs(&file.headers, &path.at("headers"), report),
        data: file
            .data
            .as_ref()
            .and_then(|data| moment.json(data, &path.at("data"), report)),
        base_url: file
            .base_url_override
            .as_ref()
            .and_then(|url| scope.url(url, &path.at("base_url_override"), report)),
        checks: file
            .checks
            .iter()
            .enumerate()
            .filter_map(|(index, file)| check(file, &path.at("checks").at(index), scope, report))
            .collect(),
    })
}

fn check(file: &CheckFile, path: &Path, scope: &Scope, report: &mut Report<'_>) -> Option<Check> {
    let endpoint = scope.path(&file.endpoint, &path.at("endpoint"), report);
    let message = Scope::of([&"value".to_owned()]).template(&file.message, &path.at("message"), report);
    Some(Check {
        endpoint: endpoint?,
        field: dotted(&file.field),
        equals: file.equals.0.clone(),
        message: message?,
    })
}

pub(super) fn method(name: Option<MethodName>) -> &'static str {
    match name {
        None | Some(MethodName::Get) => "GET",
        Some(MethodName::Post) => "POST",
        Some(MethodName::Put) => "PUT",
        Some(MethodName::Patch) => "PATCH",
        Some(MethodName::Delete) => "DELETE",
        Some(MethodName::Head) => "HEAD",
    }
}

pub(super) fn retry(file: &RetryFile, report: &mut Report<'_>) -> RetryRules {
    let path = Path::default().at("proxy").at("retry").at("error_code");
    let mut statuses = Vec::new();
    for (index, code) in file.error_code.0.iter().enumerate() {
        match status_range(&code.0) {
            Some(range) => statuses.push(range),
            None => report.error(&path.at(index), "must be a status such as 429, 5xx or 500-502"),
        }
    }
    RetryRules {
        after: file.after.0.clone(),
        at: file.at.0.clone(),
        remaining: file.remaining.clone(),
        statuses,
        in_body: file.in_body.as_ref().map(|file| {
            in_body(
                file,
                &Path::default().at("proxy").at("retry").at("in_body"),
                report,
            )
        }),
    }
}

fn in_body(file: &InBodyFile, path: &Path, report: &mut Report<'_>) -> WaitInBody {
    let strategy = file.strategy.as_deref().unwrap_or("after");
    if !matches!(strategy, "after" | "at") {
        report.doubt(&path.at("strategy"), "must be after or at");
    }
    let value = file.value.as_deref().map(Regex::new);
    if let Some(Err(error)) = &value {
        report.doubt(
            &path.at("value"),
            format!(
                "is no regular expression that Trunkline can use: {}",
                fields::last_line(error)
            ),
        );
    }
    WaitInBody {
        path: dotted(file.path.trim_start_matches('$')),
        value: value.and_then(Result::ok),
    }
}

/// `429`, `5xx`, `500-502`.
fn status_range(text: &str) -> Option<RangeInclusive<u16>> {
    let range = match (text.strip_suffix("xx"), text.split_once('-')) {
        (Some(hundreds), _) => {
            let first = hundreds.parse::<u16>().ok()?.checked_mul(100)?;
            first..=first.checked_add(99)?
        }
        (None, Some((first, last))) => first.parse().ok()?..=last.parse().ok()?,
        (None, None) => text.parse().ok()?..=text.parse().ok()?,
    };
    (*range.start() >= 100 && *range.end() <= 599 && range.start() <= range.end()).then_some(range)
}

pub(super) fn limits(file: &LimitsFile) -> Limits {
    Limits {
        concurrency: file.concurrency.unwrap_or(CONCURRENCY),
        per_second: file.per_second,
        provider: ProviderLimits {
            concurrency: file.provider.concurrency,
            per_second: file.provider.per_second,
        },
    }
}

pub(super) fn errors(file: &ErrorsFile, report: &mut Report<'_>) -> ErrorRules {
    let path = |text: &Option<String>| text.as_deref().map(dotted).unwrap_or_default();
    ErrorRules {
        code: path(&file.code),
        message: path(&file.message),
        unauthorized: file
            .unauthorized
            .clone()
            .map_or_else(|| vec![401], |statuses| statuses.0),
        unauthorized_codes: file
            .unauthorized_codes
            .0
            .iter()
            .map(|code| code.0.clone())
            .collect(),
        hints: file.hints.clone(),
        in_body: file.in_body.as_ref().map(|file| error_in_body(file, report)),
    }
}

fn error_in_body(file: &ErrorInBodyFile, report: &mut Report<'_>) -> ErrorInBody {
    let path = dotted(&file.path);
    if path.is_empty() {
        let place = Path::default().at("errors").at("in_body").at("path");
        report.error(
            &place,
            "must name the place in the body that tells an error from a success, such as error or result.ok",
        );
    }
    ErrorInBody {
        path,
        equals: file.equals.0.iter().map(|value| value.0.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_read_as_nango_writes_them() {
        assert_eq!(status_range("429"), Some(429..=429));
        assert_eq!(status_range("5xx"), Some(500..=599));
        assert_eq!(status_range("500-502"), Some(500..=502));
        for text in ["", "xx", "7xx", "502-500", "99", "5x", "many"] {
            assert_eq!(status_range(text), None, "{text}");
        }
    }
}
