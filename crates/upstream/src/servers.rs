//! The addresses of a provider's servers, and of requests below them.

use registry::Template;
use url::Url;

use crate::{Request, RequestError, Target, UpstreamOptions};

/// Returns the address of a request, without the provider's own parameters.
pub(crate) fn request_url(
    options: &UpstreamOptions,
    target: &Target,
    request: &Request,
) -> Result<Url, RequestError> {
    address(&base_url(options, target, request.server.as_deref())?, request)
}

/// Returns the effective address of a server: the operator's override replaces all servers of the provider. The leading path of the
/// file's address stays, unless the override has one, or the connection lacks a value of the file's address.
pub(crate) fn base_url(
    options: &UpstreamOptions,
    target: &Target,
    server: Option<&str>,
) -> Result<Url, RequestError> {
    let by_file = file_url(target, server);
    let Some(url) = options.base_urls.get(&target.provider.name) else {
        return by_file;
    };
    let mut url = url.clone();
    if let (Ok(by_file), "" | "/") = (by_file, url.path()) {
        url.set_path(by_file.path());
    }
    Ok(url)
}

/// Returns the address of a server as the provider's file names it; see [`Template::render_address`] for what a value may contain.
pub(crate) fn file_url(target: &Target, server: Option<&str>) -> Result<Url, RequestError> {
    let template = match server {
        None => &target.provider.base_url,
        Some(name) => target
            .provider
            .servers
            .get(name)
            .ok_or_else(|| RequestError::UnknownServer(name.to_owned()))?,
    };
    Ok(template.render_address(&|name| target.variables.lookup(name))?)
}

/// Renders a base URL that the caller gave, which may contain public values alone.
pub(crate) fn caller_url(target: &Target, template: &Template) -> Result<Url, RequestError> {
    Ok(template.render_address(&|name| target.variables.lookup_public_config(name))?)
}

/// Returns the leading path of a server, without a slash at its end.
pub(crate) fn leading_path(base: &Url) -> &str {
    base.path().trim_end_matches('/')
}

/// Returns the address of a request below `base`.
pub(crate) fn address(base: &Url, request: &Request) -> Result<Url, RequestError> {
    let bad = |problem: &str| RequestError::BadUrl(problem.to_owned());
    if !request.path.starts_with('/') {
        return Err(bad("a path must begin with /"));
    }
    let text = format!("{}{}", base.as_str().trim_end_matches('/'), request.path);
    let mut url = Url::parse(&text).map_err(|error| bad(&error.to_string()))?;
    let below = url
        .path()
        .strip_prefix(leading_path(base))
        .is_some_and(|rest| rest.starts_with('/'));
    if !below {
        return Err(bad("a path must stay below the server's leading path"));
    }
    url.set_fragment(None);
    if !request.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&request.query);
    }
    Ok(url)
}

/// Adds the parameters that the address lacks.
pub(crate) fn add_missing(url: &mut Url, query: &[(String, String)]) {
    let missing: Vec<&(String, String)> = query
        .iter()
        .filter(|(name, _)| !url.query_pairs().any(|(there, _)| there == name.as_str()))
        .collect();
    if !missing.is_empty() {
        url.query_pairs_mut()
            .extend_pairs(missing.iter().map(|(name, value)| (name, value)));
    }
}

/// Removes the parameters whose name `is_removed` accepts, and leaves the rest of the address as written.
pub(crate) fn remove_parameters(url: &mut Url, is_removed: impl Fn(&str) -> bool) {
    let Some(query) = url.query() else {
        return;
    };
    let is_kept =
        |pair: &&str| !url::form_urlencoded::parse(pair.as_bytes()).any(|(name, _)| is_removed(&name));
    let left: Vec<&str> = query.split('&').filter(is_kept).collect();
    let left = left.join("&");
    url.set_query(Some(left.as_str()).filter(|left| !left.is_empty()));
}
