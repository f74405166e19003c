//! Fields of resources that requests have changed: the webhook settings of numbers, Messaging Services and Conversations services.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use serde_json::{Map, Value};

/// The changed fields of each resource, by SID.
#[derive(Debug, Default)]
pub(crate) struct ResourceSettings {
    changed: RwLock<HashMap<String, Map<String, Value>>>,
}

impl ResourceSettings {
    /// Changes fields of a resource. The others stay as they are.
    pub(crate) fn change(&self, sid: &str, fields: Map<String, Value>) {
        let mut changed = self.changed.write().unwrap_or_else(PoisonError::into_inner);
        changed.entry(sid.to_owned()).or_default().extend(fields);
    }

    /// Overwrites the changed fields of a resource's initial state.
    pub(crate) fn apply(&self, sid: &str, resource: &mut Value) {
        let changed = self.changed.read().unwrap_or_else(PoisonError::into_inner);
        if let (Some(changed), Value::Object(fields)) = (changed.get(sid), resource) {
            for (name, value) in changed {
                fields.insert(name.clone(), value.clone());
            }
        }
    }
}
