//! Checks what concerns all requests: verification, retries, errors.

use super::fields;
use super::scope::Scope;
use crate::provider::Verification;
use crate::response::{ErrorRules, RetryRules};
use crate::source::Report;

pub(super) fn verification(
    verification: Option<Verification>,
    scope: &Scope,
    report: &Report<'_>,
) -> Option<Verification> {
    let report = &report.at("proxy").at("verification");
    let Some(mut verification) = verification else {
        report.warn("no verification: any credentials would be accepted. Declare an endpoint that a valid key may read");
        return None;
    };
    if verification.endpoints.is_empty() {
        report.at("endpoints").error("must name at least one path");
    }
    let moment = scope.at_a_moment();
    for (index, endpoint) in verification.endpoints.iter_mut().enumerate() {
        moment.path(endpoint, &report.at("endpoints").at(index));
    }
    let within = scope.within_request();
    within.pairs(&verification.headers, &report.at("headers"));
    if let Some(data) = &verification.data {
        moment.json(data, &report.at("data"));
    }
    if let Some(url) = &verification.base_url {
        scope.url(url, &report.at("base_url_override"));
    }
    for (index, check) in verification.checks.iter_mut().enumerate() {
        let report = &report.at("checks").at(index);
        scope.path(&mut check.endpoint, &report.at("endpoint"));
        Scope::of(["value"]).template(&check.message, &report.at("message"));
    }
    Some(verification)
}

pub(super) fn retry(mut retry: RetryRules, report: &Report<'_>) -> RetryRules {
    let report = &report.at("proxy").at("retry");
    let statuses = retry.statuses.iter().enumerate();
    for (index, _) in statuses.filter(|(_, range)| range.is_empty()) {
        let report = report.at("error_code").at(index);
        report.error("must be a status such as 429, 5xx or 500-502");
    }
    if let Some(wait) = &mut retry.in_body {
        let report = &report.at("in_body");
        if !matches!(wait.strategy.as_deref(), None | Some("after" | "at")) {
            report.at("strategy").doubt("must be after or at");
        }
        fields::pattern(&mut wait.value, &report.at("value"));
    }
    retry
}

pub(super) fn errors(errors: &ErrorRules, report: &Report<'_>) {
    if errors.in_body.as_ref().is_some_and(|rule| rule.path.is_empty()) {
        report.at("errors").at("in_body").at("path").error(
            "must name the place in the body that tells an error from a success, such as error or result.ok",
        );
    }
}
