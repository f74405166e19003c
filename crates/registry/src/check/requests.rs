//! Checks what concerns all requests: verification, retries, errors.

use super::fields;
use super::scope::Scope;
use crate::path::Path;
use crate::provider::Verification;
use crate::response::{ErrorRules, RetryRules};
use crate::source::Report;

pub(super) fn verification(
    verification: Option<Verification>,
    scope: &Scope,
    report: &mut Report<'_>,
) -> Option<Verification> {
    let path = Path::default().at("proxy").at("verification");
    let Some(mut verification) = verification else {
        report.warn(&path, "no verification: any credentials would be accepted. Declare an endpoint that a valid key may read");
        return None;
    };
    if verification.endpoints.is_empty() {
        report.error(&path.at("endpoints"), "must name at least one path");
    }
    let moment = scope.at_a_moment();
    for (index, endpoint) in verification.endpoints.iter_mut().enumerate() {
        moment.path(endpoint, &path.at("endpoints").at(index), report);
    }
    let within = scope.within_request();
    within.pairs(&verification.headers, &path.at("headers"), report);
    if let Some(data) = &verification.data {
        moment.json(data, &path.at("data"), report);
    }
    if let Some(url) = &verification.base_url {
        scope.url(url, &path.at("base_url_override"), report);
    }
    for (index, check) in verification.checks.iter_mut().enumerate() {
        let path = path.at("checks").at(index);
        scope.path(&mut check.endpoint, &path.at("endpoint"), report);
        Scope::of(["value"]).template(&check.message, &path.at("message"), report);
    }
    Some(verification)
}

pub(super) fn retry(mut retry: RetryRules, report: &mut Report<'_>) -> RetryRules {
    let path = Path::default().at("proxy").at("retry");
    let statuses = retry.statuses.iter().enumerate();
    for (index, _) in statuses.filter(|(_, range)| range.is_empty()) {
        let path = path.at("error_code").at(index);
        report.error(&path, "must be a status such as 429, 5xx or 500-502");
    }
    if let Some(wait) = &mut retry.in_body {
        let path = path.at("in_body");
        if wait
            .strategy
            .as_deref()
            .is_some_and(|name| !matches!(name, "after" | "at"))
        {
            report.doubt(&path.at("strategy"), "must be after or at");
        }
        fields::pattern(&mut wait.value, &path.at("value"), report);
    }
    retry
}

pub(super) fn errors(errors: &ErrorRules, report: &mut Report<'_>) {
    if errors.in_body.as_ref().is_some_and(|rule| rule.path.is_empty()) {
        report.error(
            &Path::default().at("errors").at("in_body").at("path"),
            "must name the place in the body that tells an error from a success, such as error or result.ok",
        );
    }
}
