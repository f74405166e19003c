//! The state of the webhooks configuration API: shared keys, Settings, the Rules that apply them to URLs, and operations.

use std::collections::HashMap;

use serde_json::Value;

use crate::random::{below, draw};
use crate::webhooks::policy::Policy;
use crate::webhooks::signature::Algorithm;

/// Resources of one kind in an account.
pub(crate) const MOST: usize = 50;

/// Responses that are kept for their idempotency keys.
const KEPT_RESPONSES: usize = 1000;

/// A key that signs webhooks.
#[derive(Debug, Clone)]
pub(crate) struct SharedKey {
    pub(crate) id: String,
    pub(crate) friendly_name: String,
    pub(crate) secret: String,
    pub(crate) created: i64,
    pub(crate) updated: i64,
}

/// How the webhooks of a Setting are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SettingSignature {
    /// With the account's auth token, like webhooks without a Setting.
    AuthToken,
    Unsigned,
    SharedKey {
        id: String,
        algorithm: Algorithm,
    },
}

/// How webhooks are authenticated, signed and sent.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) id: String,
    pub(crate) friendly_name: String,
    pub(crate) description: Option<String>,
    /// User name and password for Basic.
    pub(crate) basic: Option<(String, String)>,
    pub(crate) signature: SettingSignature,
    pub(crate) policy: Policy,
    /// The parts of the resource that cannot change, without secrets.
    pub(crate) parts: Vec<(&'static str, Value)>,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    /// From this second on, a test may use it.
    pub(crate) usable: i64,
}

/// The URLs of a Rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Match {
    Exact(String),
    Prefix(String),
    Default,
}

impl Match {
    fn matches(&self, url: &str) -> bool {
        match self {
            Self::Exact(value) => value == url,
            Self::Prefix(prefix) => url.starts_with(prefix.as_str()),
            Self::Default => true,
        }
    }

    /// Returns the order of evaluation: exact ones first, then prefixes, each longest first.
    fn rank(&self) -> (u8, usize) {
        match self {
            Self::Exact(value) => (2, value.len()),
            Self::Prefix(prefix) => (1, prefix.len()),
            Self::Default => (0, 0),
        }
    }
}

/// What a Rule says at one time.
#[derive(Debug, Clone)]
pub(crate) struct RuleVersion {
    pub(crate) friendly_name: String,
    pub(crate) description: Option<String>,
    pub(crate) matching: Match,
    /// Settings with their share of the webhooks in per cent.
    pub(crate) settings: Vec<(String, u32)>,
}

/// A Rule with its history, because a change takes effect later.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    /// From which second each version is in effect, oldest first. `None` is the deleted Rule.
    versions: Vec<(i64, Option<RuleVersion>)>,
}

impl Rule {
    pub(crate) fn new(id: String, version: RuleVersion, now: i64, from: i64) -> Self {
        Self {
            id,
            created: now,
            updated: now,
            versions: vec![(from, Some(version))],
        }
    }

    /// Replaces the version from the second `from` on. `None` deletes the Rule.
    pub(crate) fn change(&mut self, version: Option<RuleVersion>, now: i64, from: i64) {
        self.updated = now;
        self.versions.push((from, version));
    }

    /// Returns the newest version, in effect or not.
    pub(crate) fn current(&self) -> Option<&RuleVersion> {
        self.versions.last().and_then(|(_, version)| version.as_ref())
    }

    fn effective(&self, now: i64) -> Option<&RuleVersion> {
        let version = self.versions.iter().rev().find(|(from, _)| *from <= now);
        version.and_then(|(_, version)| version.as_ref())
    }
}

/// The propagation of a changed Rule.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) resource: String,
    pub(crate) created: i64,
    pub(crate) completes: i64,
}

impl Operation {
    pub(crate) fn status(&self, now: i64) -> &'static str {
        match now {
            now if now >= self.completes => "COMPLETED",
            now if now > self.created => "RUNNING",
            _ => "PENDING",
        }
    }
}

/// A response to repeat when its idempotency key comes again.
#[derive(Debug, Clone)]
pub(crate) struct KeptResponse {
    /// Method, path and body of the first request.
    pub(crate) request: String,
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// Everything that an account has configured.
#[derive(Debug, Default)]
pub(crate) struct Configuration {
    pub(crate) shared_keys: Vec<SharedKey>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) operations: Vec<Operation>,
    responses: HashMap<String, KeptResponse>,
    identifiers: u64,
}

impl Configuration {
    /// Returns a new id such as `webhooks_rule_` and 26 characters.
    pub(crate) fn new_id(&mut self, kind: &str, seed: u64) -> String {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        self.identifiers += 1;
        let number = self.identifiers;
        let digit = |position: u64| {
            // The first of 26 digits of five bits has only three of a UUID's 128 bits.
            let bound = if position == 0 { 8 } else { 32 };
            let index = below(draw(seed, number, 0x1D00 + position), bound);
            usize::try_from(index)
                .ok()
                .and_then(|index| ALPHABET.get(index))
                .copied()
                .map_or('0', char::from)
        };
        let digits: String = (0..26).map(digit).collect();
        format!("webhooks_{kind}_{digits}")
    }

    pub(crate) fn shared_key(&self, id: &str) -> Option<&SharedKey> {
        self.shared_keys.iter().find(|key| key.id == id)
    }

    pub(crate) fn setting(&self, id: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.id == id)
    }

    /// Returns the live Rules with their newest versions.
    pub(crate) fn live_rules(&self) -> impl Iterator<Item = (&Rule, &RuleVersion)> {
        self.rules
            .iter()
            .filter_map(|rule| rule.current().map(|version| (rule, version)))
    }

    /// Returns the Setting for a URL by the Rules in effect. `bits` choose between two Settings of a Rule.
    pub(crate) fn setting_for(&self, url: &str, now: i64, bits: u64) -> Option<&Setting> {
        let rule = self
            .rules
            .iter()
            .filter_map(|rule| rule.effective(now))
            .filter(|rule| rule.matching.matches(url))
            .max_by_key(|rule| rule.matching.rank())?;
        let mut left = below(bits, 100);
        for (id, percentage) in &rule.settings {
            let share = u64::from(*percentage);
            if left < share {
                return self.setting(id);
            }
            left -= share;
        }
        None
    }

    pub(crate) fn kept(&self, idempotency_key: &str) -> Option<&KeptResponse> {
        self.responses.get(idempotency_key)
    }

    pub(crate) fn keep(&mut self, idempotency_key: String, response: KeptResponse) {
        if self.responses.len() < KEPT_RESPONSES {
            self.responses.insert(idempotency_key, response);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(id: &str) -> Setting {
        Setting {
            id: id.to_owned(),
            friendly_name: String::new(),
            description: None,
            basic: None,
            signature: SettingSignature::AuthToken,
            policy: Policy::default(),
            parts: Vec::new(),
            created: 0,
            updated: 0,
            usable: 0,
        }
    }

    fn version(matching: Match, settings: &[(&str, u32)]) -> RuleVersion {
        RuleVersion {
            friendly_name: String::new(),
            description: None,
            matching,
            settings: settings
                .iter()
                .map(|(id, share)| ((*id).to_owned(), *share))
                .collect(),
        }
    }

    #[test]
    fn the_most_exact_rule_in_effect_decides() {
        let mut all = Configuration {
            settings: ["default", "short", "long", "exact"].map(setting).to_vec(),
            ..Configuration::default()
        };
        for (matching, id) in [
            (Match::Default, "default"),
            (Match::Prefix("https://a.example/".to_owned()), "short"),
            (Match::Prefix("https://a.example/hooks/".to_owned()), "long"),
            (Match::Exact("https://a.example/hooks/x".to_owned()), "exact"),
        ] {
            all.rules
                .push(Rule::new(id.to_owned(), version(matching, &[(id, 100)]), 0, 40));
        }
        let chosen = |all: &Configuration, url: &str, now: i64| {
            all.setting_for(url, now, 0).map(|setting| setting.id.clone())
        };
        assert_eq!(chosen(&all, "https://a.example/hooks/x", 39), None);
        for (url, id) in [
            ("https://a.example/hooks/x", "exact"),
            ("https://a.example/hooks/y", "long"),
            ("https://a.example/y", "short"),
            ("https://b.example/y", "default"),
        ] {
            assert_eq!(chosen(&all, url, 40).as_deref(), Some(id));
        }
        all.rules[3].change(None, 50, 90);
        assert!(all.rules[3].current().is_none());
        assert_eq!(
            chosen(&all, "https://a.example/hooks/x", 89).as_deref(),
            Some("exact")
        );
        assert_eq!(
            chosen(&all, "https://a.example/hooks/x", 90).as_deref(),
            Some("long")
        );
    }

    #[test]
    fn two_settings_share_the_webhooks_of_a_rule() {
        let all = Configuration {
            settings: ["old", "new"].map(setting).to_vec(),
            rules: vec![Rule::new(
                "r".to_owned(),
                version(Match::Default, &[("old", 30), ("new", 70)]),
                0,
                0,
            )],
            ..Configuration::default()
        };
        let old = (0..1000)
            .filter(|number| {
                all.setting_for("https://a.example/", 0, draw(1, *number, 2))
                    .is_some_and(|setting| setting.id == "old")
            })
            .count();
        assert!((240..360).contains(&old), "{old}");
    }
}
