//! Whether credentials are good.

use http::Method;
use http::header::{self, HeaderValue};
use registry::{Check, Template, Verification};
use serde_json::Value;

use crate::client::Effort;
use crate::provider_error::without_secrets;
use crate::{Answer, Call, CallError, Target, Upstream, VerifyError, body, json};

/// Attempts of one request: a person waits for the result.
const MAX_ATTEMPTS: u32 = 3;

/// Bytes of a response that is read to verify credentials.
const MAX_BODY: usize = 1 << 20;

impl Upstream {
    /// Tries the credentials by the provider's file: any endpoint that answers 2xx is enough, then its checks are looked at.
    /// Passes if the file names no endpoint.
    pub async fn verify(&self, target: &Target) -> Result<(), VerifyError> {
        let Some(verification) = &target.provider.verification else {
            return Ok(());
        };
        self.try_endpoints(target, verification).await?;
        for check in &verification.checks {
            self.check(target, check).await?;
        }
        Ok(())
    }

    /// The holes of addresses that keep the credentials from being verified, since nothing fills them; empty without a verification.
    pub fn lacking(&self, target: &Target) -> Vec<String> {
        let provider = &target.provider;
        let moment = self.moment();
        let has = |hole: &str| {
            let value = moment.lookup(&target.variables, hole);
            value.is_some_and(|value| !value.is_empty())
        };
        let verification = provider.verification.iter();
        let needed = verification.flat_map(|own| {
            let base = own.base_url.as_ref().unwrap_or(&provider.base_url);
            let base = Some(base).filter(|_| !self.has_own_base_url(&provider.name));
            let checks = own.checks.iter().map(|check| &check.endpoint);
            base.into_iter().chain(&own.endpoints).chain(checks)
        });
        let mut lacking: Vec<String> = needed
            .flat_map(|template| template.lacks(has))
            .map(str::to_owned)
            .collect();
        lacking.sort_unstable();
        lacking.dedup();
        lacking
    }

    /// Whether the operator's configuration replaces the provider's servers by one of its own.
    pub fn has_own_base_url(&self, provider: &domain::ProviderName) -> bool {
        self.options().base_urls.contains_key(provider)
    }

    async fn try_endpoints(&self, target: &Target, verification: &Verification) -> Result<(), VerifyError> {
        let mut refusals = Vec::new();
        for endpoint in &verification.endpoints {
            let call = self.verification_call(target, verification, endpoint)?;
            match self.try_once(target, &call, Some(verification)).await {
                Ok(_) => return Ok(()),
                Err(CallError::Provider(error)) if error.rate_limited || error.status >= 500 => {
                    return Err(CallError::Provider(error).into());
                }
                Err(CallError::Provider(error)) => refusals.push(error),
                Err(error) => return Err(error.into()),
            }
        }
        // What says that the credentials are wrong tells more than what says that something is not allowed or not there.
        let telling = refusals
            .iter()
            .position(|error| error.unauthorized)
            .unwrap_or_default();
        match refusals.into_iter().nth(telling) {
            Some(error) => Err(VerifyError::Refused(error)),
            None => Ok(()),
        }
    }

    async fn try_once(
        &self,
        target: &Target,
        call: &Call,
        verification: Option<&Verification>,
    ) -> Result<Answer, CallError> {
        let effort = Effort {
            max_attempts: MAX_ATTEMPTS.min(self.options().max_attempts),
            max_body: MAX_BODY.min(self.options().max_body),
            tries_credentials: true,
            verification,
        };
        let html = verification.is_some_and(|verification| accepts_html(target, verification));
        let read = |answer: Answer| if html { Ok(answer) } else { answer.without_page() };
        self.run(target, call, &effort, read)
            .await
            .map_err(|failure| failure.error)
    }

    async fn check(&self, target: &Target, check: &Check) -> Result<(), VerifyError> {
        let path = check
            .endpoint
            .render_path(&|name| target.variables.lookup(name))
            .map_err(CallError::from)?;
        let answer = match self.try_once(target, &Call::get(path), None).await {
            Ok(answer) => answer,
            // A key may be good and yet not allowed to look.
            Err(CallError::Provider(error)) if error.status < 500 && !error.rate_limited => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let body: Value = answer.json().map_err(VerifyError::from)?;
        let Some(said) = json::at(&body, &check.field).and_then(json::plain) else {
            return Ok(());
        };
        if said == check.equals {
            return Ok(());
        }
        let said = without_secrets(target, &said);
        let lookup = |name: &str| {
            if name == "value" {
                Some(said.clone())
            } else {
                target.variables.lookup(name)
            }
        };
        Err(VerifyError::Check {
            message: check.message.render(&lookup).map_err(CallError::from)?,
        })
    }

    fn verification_call(
        &self,
        target: &Target,
        verification: &Verification,
        endpoint: &Template,
    ) -> Result<Call, CallError> {
        let moment = self.moment();
        let lookup = |name: &str| moment.lookup(&target.variables, name);
        let method = Method::from_bytes(verification.method.as_bytes()).map_err(|_| CallError::BadUrl {
            problem: "the verification's method is not one of HTTP".to_owned(),
        })?;
        let mut call = Call::new(method, endpoint.render_path(&lookup)?);
        // Whatever its method, it only looks.
        call.idempotent = true;
        let kind = (verification.headers.iter())
            .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
            .and_then(|(_, kind)| kind.literal())
            .unwrap_or("application/json");
        if let Some(data) = &verification.data {
            call.body = Some(body::rendered(data, kind, &lookup)?);
            let kind = HeaderValue::from_str(kind);
            call.headers.extend(kind.map(|kind| (header::CONTENT_TYPE, kind)));
        }
        Ok(call)
    }
}

/// Whether the provider's file asks for HTML, so that it verifies the credentials.
fn accepts_html(target: &Target, verification: &Verification) -> bool {
    let mut headers = verification.headers.iter().chain(&target.provider.headers);
    let accept = headers.find(|(name, _)| name.eq_ignore_ascii_case("accept"));
    accept.is_some_and(|(_, value)| value.to_string().contains("html"))
}
