//! The numbers and services of the main account, for tests that use them without an API request.

use serde::{Deserialize, Serialize};

use crate::conversations::services as services_of_conversations;
use crate::shared::Shared;
use crate::verification::services;

/// The main account's numbers and services, derived from the seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assets {
    /// In E.164; every one can send messages and place calls.
    pub numbers: Vec<String>,
    /// `MG…`.
    pub messaging_services: Vec<String>,
    /// `VA…`; the first sends codes of 6 digits, the second of 4.
    pub verify_services: Vec<String>,
    /// `IS…`, of Conversations.
    pub conversations_services: Vec<String>,
}

impl Assets {
    pub(crate) fn of_main(shared: &Shared) -> Self {
        let conversations = services_of_conversations(shared, &shared.credentials.account_sid);
        let (store, _) = shared.read_main();
        let planner = &store.planner;
        Self {
            numbers: planner
                .numbers
                .iter()
                .map(|number| format!("+{number}"))
                .collect(),
            messaging_services: planner.services.clone(),
            verify_services: services(planner.seed)
                .into_iter()
                .map(|service| service.sid)
                .collect(),
            conversations_services: conversations.to_vec(),
        }
    }
}
