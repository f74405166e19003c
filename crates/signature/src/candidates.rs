//! The secrets with which a request may be signed.

use std::fmt;

use registry::webhooks::{SUBSCRIPTION_SECRET, Secret};
use registry::{Lookup, Template, Webhooks};
use secrecy::{ExposeSecret, SecretString};

/// The most secrets that are tried for one scheme.
const MOST: usize = 16;

/// A secret that was stored with a subscription.
#[derive(Debug, Clone)]
pub struct StoredSecret {
    /// The secret.
    pub secret: SecretString,
    /// The provider's name for it, if it has one: what the subscription kept as `key_id`.
    pub key_id: Option<String>,
    /// Whether the provider certainly signs with it by now. Until then, a weaker scheme is still accepted.
    pub in_use: bool,
}

/// The secrets of one connection, each for a scheme of the provider file.
#[derive(Clone, Default)]
pub struct Candidates(Vec<Candidate>);

#[derive(Clone)]
pub(crate) struct Candidate {
    scheme: usize,
    pub(crate) secret: SecretString,
    pub(crate) key_id: Option<String>,
    pub(crate) in_use: bool,
}

impl Candidates {
    /// Collects the secrets of a connection: `lookup` returns the values of credentials and configuration by placeholder, `stored` are the
    /// secrets of its subscriptions, the newest first. Empty secrets are left out, and so are those after the sixteenth of a scheme.
    pub fn collect(webhooks: &Webhooks, lookup: &Lookup<'_>, stored: &[StoredSecret]) -> Self {
        let mut candidates = Vec::new();
        for (index, scheme) in webhooks.signature.iter().enumerate() {
            let mut found = Vec::new();
            for Secret {
                value: template,
                only_if,
            } in &scheme.secrets
            {
                let is = |(name, must_be): &(String, Template)| {
                    let must_be = must_be.render_if_filled(lookup).ok().flatten();
                    must_be.is_some() && lookup(name) == must_be
                };
                if !only_if.iter().all(is) {
                    continue;
                }
                let render = |secret: Option<&SecretString>| {
                    let text = template.render_if_filled(&|name| match secret {
                        Some(secret) if name == SUBSCRIPTION_SECRET => {
                            Some(secret.expose_secret().to_owned())
                        }
                        _ => lookup(name),
                    });
                    text.ok().flatten().filter(|text| !text.is_empty())
                };
                let candidate = |text: String, key_id: Option<String>, in_use: bool| Candidate {
                    scheme: index,
                    secret: text.into(),
                    key_id,
                    in_use,
                };
                if template.placeholders().contains(&SUBSCRIPTION_SECRET) {
                    let texts = stored.iter().filter_map(|stored| {
                        Some(candidate(
                            render(Some(&stored.secret))?,
                            stored.key_id.clone(),
                            stored.in_use,
                        ))
                    });
                    found.extend(texts);
                } else {
                    found.extend(render(None).map(|text| candidate(text, None, true)));
                }
            }
            found.truncate(MOST);
            candidates.extend(found);
        }
        Self(candidates)
    }

    /// Whether the connection has no secret at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the secrets for the scheme at this position.
    pub(crate) fn of(&self, scheme: usize) -> impl Iterator<Item = &Candidate> + Clone {
        self.0.iter().filter(move |candidate| candidate.scheme == scheme)
    }
}

impl fmt::Debug for Candidates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Candidates({})", self.0.len())
    }
}
