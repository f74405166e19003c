//! Verifies credentials at their provider.

use http::Method;
use http::header::{self, HeaderValue};
use registry::{Check, Template, Verification};
use serde_json::Value;

use crate::redact::MAX_LINE;
use crate::{Request, RequestError, Response, Target, Upstream, VerifyError, json, request_body};

/// The maximum number of attempts of one request: a person waits for the result.
const MAX_ATTEMPTS: u32 = 3;

impl Upstream {
    /// Verifies the credentials as the provider's file says: any endpoint that responds with 2xx is enough; then its checks must hold.
    /// Succeeds if the file names no endpoint.
    pub async fn verify(&self, target: &Target) -> Result<(), VerifyError> {
        let Some(verification) = &target.provider.verification else {
            return Ok(());
        };
        self.verify_endpoints(target, verification).await?;
        for check in &verification.checks {
            self.check(target, check).await?;
        }
        Ok(())
    }

    /// Returns the placeholders without a value that verification needs; none if the file declares no verification.
    pub fn missing_values(&self, target: &Target) -> Vec<String> {
        let provider = &target.provider;
        let values = self.request_values();
        let has = |placeholder: &str| {
            let value = values.lookup(&target.variables, placeholder);
            value.is_some_and(|value| !value.is_empty())
        };
        let verification = provider.verification.iter();
        let needed = verification.flat_map(|own| {
            let base = own.base_url.as_ref().unwrap_or(&provider.base_url);
            let base = Some(base).filter(|_| !self.overrides_base_url(&provider.name));
            let checks = own.checks.iter().map(|check| &check.endpoint);
            base.into_iter().chain(&own.endpoints).chain(checks)
        });
        let mut missing: Vec<String> = needed
            .flat_map(|template| template.lacks(has))
            .map(str::to_owned)
            .collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// Whether the operator's settings replace the provider's servers.
    pub fn overrides_base_url(&self, provider: &domain::ProviderName) -> bool {
        self.0.options.base_urls.contains_key(provider)
    }

    async fn verify_endpoints(
        &self,
        target: &Target,
        verification: &Verification,
    ) -> Result<(), VerifyError> {
        let mut refusals = Vec::new();
        for endpoint in &verification.endpoints {
            let request = self.verification_request(target, verification, endpoint)?;
            match self.send_check(target, &request, Some(verification)).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(RequestError::Provider(error)) => refusals.push(error),
                Err(error) => return Err(error.into()),
            }
        }
        // "Unauthorized" explains more than "forbidden" or "not found".
        refusals.sort_by_key(|error| !error.unauthorized);
        match refusals.into_iter().next() {
            Some(error) => Err(VerifyError::Refused(error)),
            None => Ok(()),
        }
    }

    async fn send_check(
        &self,
        target: &Target,
        request: &Request,
        verification: Option<&Verification>,
    ) -> Result<Response, RequestError> {
        let options = self.check_options(MAX_ATTEMPTS, verification);
        let html = verification.is_some_and(|verification| accepts_html(target, verification));
        let accept = |response: Response| {
            if html {
                Ok(response)
            } else {
                response.refuse_html_page()
            }
        };
        let sent = self.send(target, request, &options, accept).await;
        sent.map_err(|failed| failed.error)
    }

    async fn check(&self, target: &Target, check: &Check) -> Result<(), VerifyError> {
        let path = check
            .endpoint
            .render_path(&|name| target.variables.lookup(name))
            .map_err(RequestError::from)?;
        let response = match self.send_check(target, &Request::get(path), None).await {
            Ok(response) => response,
            // A valid key may lack the permission to read this.
            Err(error @ RequestError::Provider(_)) if !error.is_transient() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let body: Value = response.json().map_err(VerifyError::from)?;
        let Some(found) = json::at(&body, &check.field).and_then(json::plain) else {
            return Ok(());
        };
        if found == check.equals {
            return Ok(());
        }
        let found = target.redacted_line(&found, MAX_LINE);
        let lookup = |name: &str| {
            if name == "value" {
                Some(found.clone())
            } else {
                target.variables.lookup(name)
            }
        };
        let message = check.message.render(&lookup).map_err(RequestError::from)?;
        Err(VerifyError::Check(message))
    }

    fn verification_request(
        &self,
        target: &Target,
        verification: &Verification,
        endpoint: &Template,
    ) -> Result<Request, RequestError> {
        let values = self.request_values();
        let lookup = |name: &str| values.lookup(&target.variables, name);
        let method = Method::from_bytes(verification.method.as_str().as_bytes())
            .map_err(|_| RequestError::BadUrl("the verification's method is not one of HTTP".to_owned()))?;
        let mut request = Request::new(method, endpoint.render_path(&lookup)?);
        // It changes nothing, whatever its method.
        request.idempotent = true;
        let kind = (verification.headers.iter())
            .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
            .and_then(|(_, kind)| kind.literal())
            .unwrap_or("application/json");
        if let Some(data) = &verification.data {
            request.body = Some(request_body::rendered(data, kind, &lookup)?);
            let kind = HeaderValue::from_str(kind);
            request
                .headers
                .extend(kind.map(|kind| (header::CONTENT_TYPE, kind)));
        }
        Ok(request)
    }
}

/// Whether the provider's file accepts HTML as proof that the credentials are valid.
fn accepts_html(target: &Target, verification: &Verification) -> bool {
    let mut headers = verification.headers.iter().chain(&target.provider.headers);
    let accept = headers.find(|(name, _)| name.eq_ignore_ascii_case("accept"));
    accept.is_some_and(|(_, value)| value.to_string().contains("html"))
}
