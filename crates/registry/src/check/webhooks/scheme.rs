//! Checks how a provider signs.

use super::super::scope::Scope;
use super::message_scope;
use crate::source::Report;
use crate::template::{Piece, Template};
use crate::webhooks::{
    Algorithm, SUBSCRIPTION_SECRET, Scheme, SchemeFile, Secret, SecretFormat, SignedPart, TimestampFile,
    TimestampRule, ValueForm, When,
};

/// Keys that are only for an algorithm that signs something.
const OF_SIGNING: [&str; 9] = [
    "encoding",
    "secret_format",
    "signed",
    "timestamp",
    "url_variants",
    "body_sha256",
    "nonce",
    "unsigned_body",
    "exclusive",
];
/// Keys that say where in a value the signature is.
const OF_FORM: [&str; 4] = ["entry", "position", "separator", "assign"];

pub(super) fn schemes(files: Vec<SchemeFile>, scope: &Scope, report: &Report<'_>) -> Vec<Scheme> {
    let schemes = files.into_iter().enumerate().map(|(index, file)| {
        let report = report.item(index);
        scheme(file, scope, &report)
    });
    schemes.collect()
}

fn scheme(file: SchemeFile, scope: &Scope, report: &Report<'_>) -> Scheme {
    let signs = !matches!(file.algorithm, Algorithm::Token | Algorithm::Basic);
    if !signs {
        let words = "does not go with the algorithms token and basic, which sign nothing";
        let wrong = OF_SIGNING.iter().filter(|key| report.has(key));
        wrong.for_each(|key| report.at(key).error(words));
    }
    if file.optional && signs {
        let words =
            "goes with the algorithms token and basic alone: a signature that may be missing proves nothing";
        report.at("optional").error(words);
    }
    if let Some(when) = &file.when {
        self::when(when, &report.at("when"));
    }
    let secret_scope = scope.and(SUBSCRIPTION_SECRET.to_owned());
    for (index, secret) in file.secret.iter().enumerate() {
        let report = report.at("secret");
        let report = report.item(index);
        let Secret { value, only_if } = secret;
        secret_scope.template(value, &report);
        for (name, must_be) in only_if {
            let report = report.at("only_if").at(name);
            // Written as it would be looked up.
            scope.template(&Template::from(format!("${{{name}}}")), &report);
            scope.template(must_be, &report);
        }
        if value.error.is_none() && value.placeholders().is_empty() {
            report.error(
                "must hold a placeholder, such as ${connectionConfig.webhookSecret}: a secret does not belong into a file",
            );
        }
    }
    if file.secret.is_empty() {
        report.at("secret").error("must name at least one secret");
    }
    let source = source(&file, report);
    let form = form(&file, report);
    let timestamp = file
        .timestamp
        .map(|file| timestamp(&file, &form, &report.at("timestamp")));
    let signed = match &file.signed {
        None => Some(vec![SignedPart::Body]),
        Some(template) => signed(template, &form, &report.at("signed")),
    };
    let readable = signed.is_some();
    let scheme = Scheme {
        when: file.when,
        exclusive: file.exclusive,
        optional: file.optional,
        source,
        form,
        prefix: file.prefix,
        encoding: file.encoding.unwrap_or_default(),
        algorithm: file.algorithm,
        secrets: file.secret,
        secret_format: secret_format(file.secret_format, file.algorithm, report),
        signed: signed.unwrap_or_default(),
        timestamp,
        url_variants: file.url_variants,
        body_sha256: file.body_sha256,
        nonce: file.nonce,
        unsigned_body: file.unsigned_body,
    };
    if signs && readable {
        covered(&scheme, report);
    }
    scheme
}

fn when(when: &When, report: &Report<'_>) {
    header(&when.header, &report.at("header"));
    if when.key_id.as_ref().is_some_and(|key| when.has.contains_key(key)) {
        report
            .at("key_id")
            .error("names the secret, so it cannot have one value in \"has\"");
    }
}

/// Reports a name that a placeholder `${header.NAME}` could not have either.
fn header(name: &str, report: &Report<'_>) {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        report.error("must be the name of a header: letters, digits, - and _");
    }
}

/// Returns the placeholders of where the signature is.
fn source(file: &SchemeFile, report: &Report<'_>) -> Vec<String> {
    if file.algorithm == Algorithm::Basic {
        for key in ["header", "from", "prefix"].into_iter().chain(OF_FORM) {
            if report.has(key) {
                report.at(key).error(
                    "does not go with the algorithm basic, which is always in the header Authorization",
                );
            }
        }
        return vec!["header.authorization".to_owned()];
    }
    match (&file.header, &file.from) {
        (Some(name), None) => {
            header(name, &report.at("header"));
            vec![format!("header.{name}")]
        }
        (None, Some(template)) => {
            let scope = Scope::default().and_all_below(&["header.", "query.", "body."]);
            only_placeholder(template, &scope, &report.at("from"))
        }
        _ => {
            report.error("needs either \"header\", the header with the signature, or \"from\", such as ${body.signature}");
            Vec::new()
        }
    }
}

/// Returns the names of the placeholder that is the whole template, or reports an error.
fn only_placeholder(template: &Template, scope: &Scope, report: &Report<'_>) -> Vec<String> {
    scope.template(template, report);
    if let Some([Piece::Placeholder(names)]) = template.pieces().as_deref() {
        return names.to_vec();
    }
    if template.error.is_none() {
        report.error("must be one placeholder, such as ${header.X-Timestamp}");
    }
    Vec::new()
}

fn form(file: &SchemeFile, report: &Report<'_>) -> ValueForm {
    for key in ["separator", "assign"] {
        let text = if key == "assign" {
            &file.assign
        } else {
            &file.separator
        };
        if text.as_ref().is_some_and(String::is_empty) {
            report.at(key).error("must not be empty");
        }
    }
    if file.assign.is_some() && file.entry.is_none() {
        report
            .at("assign")
            .error("goes with \"entry\" alone: it separates a key from its value");
    }
    match (&file.entry, file.position, &file.separator) {
        (Some(_), Some(_), _) => {
            report.error("has \"entry\" and \"position\": a list has either keys or positions");
            ValueForm::Pairs {
                separator: String::new(),
                assign: String::new(),
                key: String::new(),
            }
        }
        (Some(key), None, separator) => ValueForm::Pairs {
            separator: separator.clone().unwrap_or_else(|| ",".to_owned()),
            assign: file.assign.clone().unwrap_or_else(|| "=".to_owned()),
            key: key.clone(),
        },
        (None, Some(index), Some(separator)) => ValueForm::Position {
            separator: separator.clone(),
            index: index.into(),
        },
        (None, Some(_), None) => {
            report.error(
                "\"separator\" is missing: say what separates the values of which \"position\" is one",
            );
            ValueForm::Plain
        }
        (None, None, Some(separator)) => ValueForm::List {
            separator: separator.clone(),
        },
        (None, None, None) => ValueForm::Plain,
    }
}

fn secret_format(format: Option<SecretFormat>, algorithm: Algorithm, report: &Report<'_>) -> SecretFormat {
    let public = algorithm == Algorithm::EcdsaP256Sha256;
    let format = format.unwrap_or(if public {
        SecretFormat::PublicKey
    } else {
        SecretFormat::Text
    });
    if public != (format == SecretFormat::PublicKey) {
        report
            .at("secret_format")
            .error("must be public_key with the algorithm ecdsa-p256-sha256, and only with it");
    }
    format
}

fn timestamp(file: &TimestampFile, form: &ValueForm, report: &Report<'_>) -> TimestampRule {
    let scope = value_scope(form, Scope::default());
    TimestampRule {
        source: only_placeholder(&file.from, &scope, &report.at("from")),
        format: file.format,
        tolerance: file.tolerance,
    }
}

/// Adds the parts of a request that a signed text may name.
fn value_scope(form: &ValueForm, scope: Scope) -> Scope {
    let scope = scope.and_all_below(&["header.", "query.", "body."]);
    match form {
        ValueForm::Pairs { .. } | ValueForm::Position { .. } => scope.and_all_below(&["signature."]),
        ValueForm::Plain | ValueForm::List { .. } => scope,
    }
}

fn signed(template: &Template, form: &ValueForm, report: &Report<'_>) -> Option<Vec<SignedPart>> {
    let fixed = [
        "body",
        "timestamp",
        "url",
        "url.without_query",
        "url.sorted_query",
        "form",
        "form.every_value",
        "method",
    ];
    value_scope(form, Scope::of(fixed)).template(template, report);
    let Some(pieces) = template.pieces() else {
        report.error("may hold neither functions nor || between texts");
        return None;
    };
    let part = |piece| match piece {
        Piece::Text(text) => SignedPart::Text(text.to_owned()),
        Piece::Placeholder(names) => match names {
            [name] => match name.as_str() {
                "body" => SignedPart::Body,
                "timestamp" => SignedPart::Timestamp,
                "url" => SignedPart::Url,
                "url.without_query" => SignedPart::UrlWithoutQuery,
                "url.sorted_query" => SignedPart::UrlWithSortedQuery,
                "form" => SignedPart::Form,
                "form.every_value" => SignedPart::FormEveryValue,
                "method" => SignedPart::Method,
                _ => SignedPart::Value(names.to_vec()),
            },
            names => {
                if names.iter().any(|name| fixed.contains(&name.as_str())) {
                    let words = fixed.map(|name| format!("${{{name}}}"));
                    report.error(format!(
                        "|| may not stand with {}",
                        crate::wording::list(words, "or")
                    ));
                }
                SignedPart::Value(names.to_vec())
            }
        },
    };
    Some(pieces.into_iter().map(part).collect())
}

/// Checks that whatever the scheme relies on is signed.
fn covered(scheme: &Scheme, report: &Report<'_>) {
    let has = |part: &SignedPart| scheme.signed.contains(part);
    let url = has(&SignedPart::Url) || has(&SignedPart::UrlWithSortedQuery);
    let form = has(&SignedPart::Form) || has(&SignedPart::FormEveryValue);
    let body = has(&SignedPart::Body) || form || scheme.body_sha256.is_some();
    if !body && !scheme.unsigned_body {
        report.at("signed").error(
            "holds neither ${body} nor ${form}, so the sender of one request could change its body: write \"unsigned_body: true\" if the \
             provider really signs no more",
        );
    }
    if body && scheme.unsigned_body {
        report
            .at("unsigned_body")
            .error("is wrong: the signed text covers the body");
    }
    if scheme.body_sha256.is_some() && !url {
        report
            .at("body_sha256")
            .error("needs ${url} in \"signed\", or the hash itself would not be signed");
    }
    if !scheme.url_variants.is_empty() && !url && !has(&SignedPart::UrlWithoutQuery) {
        report.at("url_variants").error("needs ${url} in \"signed\"");
    }
    match &scheme.timestamp {
        None if has(&SignedPart::Timestamp) => {
            report
                .at("signed")
                .error("holds ${timestamp}, but \"timestamp\" is missing");
        }
        Some(rule) if !has(&SignedPart::Timestamp) && !has(&SignedPart::Value(rule.source.clone())) => {
            report.at("timestamp").error(
                "is not in \"signed\": add ${timestamp}, since anybody can change a time that is not signed",
            );
        }
        _ => {}
    }
    if let Some(nonce) = &scheme.nonce {
        let report = &report.at("nonce");
        message_scope().template(nonce, report);
        let is_signed = |name: &&str| {
            scheme.signed.iter().any(
                |part| matches!(part, SignedPart::Value(names) if names.iter().any(|known| known == name)),
            )
        };
        let unsigned = nonce.placeholders().into_iter().find(|name| !is_signed(name));
        if let Some(name) = unsigned.filter(|_| !has(&SignedPart::Body)) {
            report.error(format!(
                "${{{name}}} is not in \"signed\", so anybody can change it"
            ));
        }
    }
}
