//! How a provider signs a request.

use std::time::Duration;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::duration::{self, LengthOfTime};
use crate::template::Template;
use crate::written::{self, OneOrMany, Scalar};

/// One way to sign a request.
#[derive(Debug, Clone)]
pub struct Scheme {
    /// The request that it is for; `None` if no header says otherwise.
    pub when: Option<When>,
    /// Whether a connection with a secret for this scheme accepts no scheme that is listed after it.
    pub exclusive: bool,
    /// Whether a connection without a secret for this scheme accepts requests at its own address. Only for [`Algorithm::Token`] and
    /// [`Algorithm::Basic`].
    pub optional: bool,
    /// Where the signature is: placeholders such as `header.X-Signature`; the first one that the request has counts.
    pub source: Vec<String>,
    /// How the value holds the signature, or several of which any one counts.
    pub form: ValueForm,
    /// What each signature must begin with; it is not part of it.
    pub prefix: Option<String>,
    /// How the signature is written.
    pub encoding: Encoding,
    /// How it is made.
    pub algorithm: Algorithm,
    /// The secrets, any of which counts; one without a value is left out. [`super::SUBSCRIPTION_SECRET`] stands for every secret that is
    /// stored with the connection's subscriptions.
    pub secrets: Vec<Secret>,
    /// How a secret becomes a key.
    pub secret_format: SecretFormat,
    /// The signed text, part by part.
    pub signed: Vec<SignedPart>,
    /// The time that the request names, if it may not be old.
    pub timestamp: Option<TimestampRule>,
    /// Other spellings of the URL that the provider may have signed.
    pub url_variants: Vec<UrlVariant>,
    /// The query parameter with the SHA-256 hash of the body in hex, by which a signed URL covers the body.
    pub body_sha256: Option<String>,
    /// A value that no second request may have, such as a random token.
    pub nonce: Option<Template>,
    /// Whether the provider does not sign the body.
    pub unsigned_body: bool,
}

impl Scheme {
    /// Returns the placeholders of the parts of a request that it reads.
    pub(super) fn placeholders(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.source.iter().map(String::as_str).collect();
        for part in &self.signed {
            if let SignedPart::Value(values) = part {
                names.extend(values.iter().map(String::as_str));
            }
        }
        names.extend(
            self.timestamp
                .iter()
                .flat_map(|rule| rule.source.iter().map(String::as_str)),
        );
        names.extend(self.nonce.iter().flat_map(Template::placeholders));
        names
    }
}

/// A secret of a scheme.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "SecretFile")]
pub struct Secret {
    /// The secret.
    pub value: Template,
    /// Placeholders with the values that they must have; otherwise the secret is left out.
    pub only_if: Vec<(String, Template)>,
}

/// A secret as a file writes it: the secret, or the secret and when it counts.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "WebhookSecret")]
pub(crate) enum SecretFile {
    /// The secret alone.
    Short(#[schemars(with = "Scalar")] Template),
    /// The secret and when it counts.
    Long(SecretSpec),
}

/// A secret that counts under a condition.
#[derive(Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "WebhookSecretSpec")]
pub(crate) struct SecretSpec {
    /// The secret.
    #[schemars(with = "Scalar")]
    value: Template,
    /// Names of placeholders with the values that they must have: `{ username: "${connectionConfig.accountSid}" }`. Otherwise the secret is left
    /// out.
    #[serde(default, deserialize_with = "written::pairs")]
    #[schemars(with = "IndexMap<String, Scalar>")]
    only_if: Vec<(String, Template)>,
}

impl From<SecretFile> for Secret {
    fn from(file: SecretFile) -> Self {
        match file {
            SecretFile::Short(value) => Self {
                value,
                only_if: Vec::new(),
            },
            SecretFile::Long(SecretSpec { value, only_if }) => Self { value, only_if },
        }
    }
}

/// The header by which a request names its scheme. A scheme without this is for requests that have no such header.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct When {
    /// The header, of the form `key=value,key=value`.
    pub header: String,
    /// The values that it must have: `{ algorithm: HMAC_SHA256 }`. A request with other values is refused.
    #[serde(default)]
    pub has: IndexMap<String, String>,
    /// The key in it that names the secret. Only a secret that was stored with this `key_id`, or without one, is tried.
    pub key_id: Option<String>,
}

/// How a value holds the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueForm {
    /// It is the signature.
    Plain,
    /// A list of signatures.
    List {
        /// What separates them.
        separator: String,
    },
    /// A list of `key=value`. Its other values are the placeholders `${signature.KEY}`.
    Pairs {
        /// What separates the pairs.
        separator: String,
        /// What separates a key from its value.
        assign: String,
        /// The key of the signatures.
        key: String,
    },
    /// A list of values of which one is the signature. The others are the placeholders `${signature.0}`, `${signature.1}` ….
    Position {
        /// What separates the values.
        separator: String,
        /// The position of the signature, from 0.
        index: usize,
    },
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Lower-case hexadecimal digits.
    #[default]
    Hex,
    /// Base64 with padding.
    Base64,
    /// URL-safe base64, with or without padding.
    Base64Url,
}

/// How a signature is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// HMAC with SHA-1.
    #[serde(rename = "hmac-sha1")]
    HmacSha1,
    /// HMAC with SHA-256.
    #[default]
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// HMAC with SHA-512.
    #[serde(rename = "hmac-sha512")]
    HmacSha512,
    /// ECDSA on P-256 with SHA-256; the signature is DER.
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
    /// The value is the secret itself.
    Token,
    /// `Authorization: Basic`; the secret is `user:password`.
    Basic,
}

/// How a secret becomes a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretFormat {
    /// Its UTF-8 bytes.
    Text,
    /// Decoded from base64.
    Base64,
    /// Decoded from hexadecimal digits.
    Hex,
    /// `whsec_` and base64, of which the decoded bytes are the key. The prefix may be missing.
    Whsec,
    /// A public key: PEM, or the base64 of its SPKI structure.
    PublicKey,
}

/// A part of the signed text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedPart {
    /// Fixed text.
    Text(String),
    /// The raw body.
    Body,
    /// The value of the scheme's timestamp as the request has it.
    Timestamp,
    /// The URL as the provider requested it, or one of its variants.
    Url,
    /// The URL without its query.
    UrlWithoutQuery,
    /// The URL with its query sorted; `?` also if only a form has parameters, and `.` between a query and a form.
    UrlWithSortedQuery,
    /// The parameters of a form: names in order, each with its distinct values in order, without separators.
    Form,
    /// The same with every value, also one that is repeated.
    FormEveryValue,
    /// The method in capital letters.
    Method,
    /// A part of the request by its placeholder, such as `header.X-Id` or `signature.t`; the first one that the request has counts.
    Value(Vec<String>),
}

/// How old a request may be.
#[derive(Debug, Clone)]
pub struct TimestampRule {
    /// The placeholders of the time; the first one that the request has counts.
    pub source: Vec<String>,
    /// How the time is written.
    pub format: TimestampFormat,
    /// How far it may be from now, in both directions.
    pub tolerance: Duration,
}

/// How a request writes its time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimestampFormat {
    /// Seconds since 1970.
    #[default]
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMillis,
    /// `2026-11-21T10:00:00Z` (RFC 3339).
    Iso8601,
}

/// Another spelling of the URL that a provider may have signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UrlVariant {
    /// Without its port, and with the port of its scheme if it has none.
    Ports,
    /// As the WHATWG URL standard normalizes it.
    Normalized,
    /// Normalized, with its query decoded and encoded as Node's `querystring` does.
    LegacyQuery,
}

/// How the provider signs a request.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Signature")]
pub(crate) struct SchemeFile {
    /// The request that it is for, if a header says it.
    pub(crate) when: Option<When>,
    /// Whether a connection with a secret for it accepts no signature that is listed after it; false if left out.
    #[serde(default)]
    pub(crate) exclusive: bool,
    /// token and basic: whether a connection may lack the secret; then its random address alone counts. False if left out.
    #[serde(default)]
    pub(crate) optional: bool,
    /// The header with the signature. Either this or `from`.
    pub(crate) header: Option<String>,
    /// The signature, if it is elsewhere: `${body.signature}`, `${query.sig}`.
    #[schemars(with = "Option<Scalar>")]
    pub(crate) from: Option<Template>,
    /// What the signature must begin with, such as `sha256=`.
    pub(crate) prefix: Option<String>,
    /// The key of the signature in a list of `key=value`, such as `v1`; `${signature.KEY}` is another value of it.
    #[serde(default, deserialize_with = "written::optional_text")]
    #[schemars(with = "Option<Scalar>")]
    pub(crate) entry: Option<String>,
    /// The position of the signature in a list of values, from 0.
    pub(crate) position: Option<u8>,
    /// What separates the items of a list; `,` if there is an `entry`. Without `entry` and `position`, each item is a signature.
    pub(crate) separator: Option<String>,
    /// With `entry`: what separates a key from its value; `=` if left out.
    pub(crate) assign: Option<String>,
    /// How the signature is written; hex if left out.
    pub(crate) encoding: Option<Encoding>,
    /// How it is made; hmac-sha256 if left out.
    #[serde(default)]
    pub(crate) algorithm: Algorithm,
    /// The secret, or several of which any one counts: `${connectionConfig.webhookSecret}`, `${subscription.secret}`.
    #[serde(deserialize_with = "written::one_or_many")]
    #[schemars(with = "OneOrMany<SecretFile>")]
    pub(crate) secret: Vec<Secret>,
    /// How the secret becomes a key; its text if left out.
    pub(crate) secret_format: Option<SecretFormat>,
    /// The signed text; `${body}`, the raw body, if left out.
    #[schemars(with = "Option<Scalar>")]
    pub(crate) signed: Option<Template>,
    /// The time in the request, if the request may not be old.
    pub(crate) timestamp: Option<TimestampFile>,
    /// Other spellings of the URL that the provider may have signed.
    #[serde(default, deserialize_with = "written::one_or_many")]
    #[schemars(with = "OneOrMany<UrlVariant>")]
    pub(crate) url_variants: Vec<UrlVariant>,
    /// The query parameter with the SHA-256 hash of a body that is not a form, in hex.
    pub(crate) body_sha256: Option<String>,
    /// A value that no second request may have: `${body.token}`.
    #[schemars(with = "Option<Scalar>")]
    pub(crate) nonce: Option<Template>,
    /// Whether the provider does not sign the body; false if left out.
    #[serde(default)]
    pub(crate) unsigned_body: bool,
}

/// The time in the request.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "SignatureTimestamp")]
pub(crate) struct TimestampFile {
    /// Where it is: `${header.X-Timestamp}`, `${signature.t}`.
    #[schemars(with = "Scalar")]
    pub(crate) from: Template,
    /// How it is written; unix_seconds if left out.
    #[serde(default)]
    pub(crate) format: TimestampFormat,
    /// How far it may be from now, in both directions; 5 minutes if left out.
    #[serde(default = "five_minutes", deserialize_with = "duration::read")]
    #[schemars(with = "LengthOfTime")]
    pub(crate) tolerance: Duration,
}

const fn five_minutes() -> Duration {
    Duration::from_mins(5)
}
