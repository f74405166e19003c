//! State that the handle and all server threads share.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::calendar::Calendar;
use crate::calls::Calls;
use crate::clock::Clock;
use crate::config::{Permission, SimConfig};
use crate::credentials::Credentials;
use crate::faults::Faults;
use crate::message_store::MessageStore;
use crate::plan::Planner;
use crate::random::mix;
use crate::requests::{RequestEntry, RequestLog};
use crate::resource_settings::ResourceSettings;
use crate::verification::Verifications;
use crate::webhooks::{Sender, SenderConfig, Streams};

/// Messages of the subaccount.
const SUBACCOUNT_MESSAGES: u64 = 120;

/// The state of one simulator.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) seed: u64,
    pub(crate) url: String,
    pub(crate) clock: Arc<Clock>,
    pub(crate) credentials: Credentials,
    pub(crate) restricted: Vec<Permission>,
    pub(crate) retention_days: u32,
    pub(crate) local_webhooks: bool,
    /// Settings of numbers and services that requests have changed.
    pub(crate) settings: ResourceSettings,
    pub(crate) sender: Arc<Sender>,
    streams: Mutex<Streams>,
    main: RwLock<MessageStore>,
    subaccount: RwLock<MessageStore>,
    faults: RwLock<Faults>,
    revoked: RwLock<HashSet<String>>,
    /// Unreachable recipients, with the error code.
    unreachable: RwLock<HashMap<String, u32>>,
    calls: Mutex<Calls>,
    verifications: Mutex<Verifications>,
    log: Mutex<RequestLog>,
    in_flight: AtomicU32,
    numbered: AtomicU64,
}

/// A request in flight, until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    shared: Arc<Shared>,
    /// The number of requests in flight when this one arrived, including it.
    pub(crate) depth: u32,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.shared.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    pub(crate) fn new(config: SimConfig, url: String) -> Self {
        let clock = Arc::new(Clock::new(config.now));
        let base = clock.seconds();
        let credentials = Credentials::new(config.seed);
        let store = |account: &str, seed: u64, messages: u64| {
            let planner = Planner::new(seed, base, config.undated_per_mille);
            let calendar = Calendar::new(seed, messages, base, config.history_days);
            RwLock::new(MessageStore::new(
                account.to_owned(),
                planner,
                calendar,
                config.retention_days,
            ))
        };
        let token = |account: &String, token: &String| (account.clone(), token.clone());
        let sender = Arc::new(Sender::new(SenderConfig {
            seed: config.seed,
            clock: Arc::clone(&clock),
            tokens: HashMap::from([
                token(&credentials.account_sid, &credentials.auth_token),
                token(&credentials.subaccount_sid, &credentials.subaccount_auth_token),
            ]),
            main_account: credentials.account_sid.clone(),
            most_in_flight: config.webhooks_in_flight.max(1),
        }));
        Self {
            main: store(&credentials.account_sid, config.seed, config.messages),
            subaccount: store(&credentials.subaccount_sid, mix(config.seed), SUBACCOUNT_MESSAGES),
            seed: config.seed,
            url,
            clock,
            credentials,
            restricted: config.restricted,
            retention_days: config.retention_days,
            local_webhooks: config.local_webhooks,
            settings: ResourceSettings::default(),
            sender,
            streams: Mutex::default(),
            faults: RwLock::new(config.faults),
            revoked: RwLock::default(),
            unreachable: RwLock::default(),
            calls: Mutex::default(),
            verifications: Mutex::default(),
            log: Mutex::default(),
            in_flight: AtomicU32::new(0),
            numbered: AtomicU64::new(0),
        }
    }

    pub(crate) fn enter(self: &Arc<Self>) -> InFlight {
        let depth = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        let mut log = self.log();
        log.max_concurrency = log.max_concurrency.max(depth);
        drop(log);
        InFlight {
            shared: Arc::clone(self),
            depth,
        }
    }

    /// Returns the number of the next request, from 0.
    pub(crate) fn next_number(&self) -> u64 {
        self.numbered.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn faults(&self) -> Faults {
        self.faults.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Returns the main account's messages, settled to the current time.
    pub(crate) fn read_main(&self) -> (RwLockReadGuard<'_, MessageStore>, i64) {
        self.read(&self.main)
    }

    pub(crate) fn write_main(&self) -> (RwLockWriteGuard<'_, MessageStore>, i64) {
        self.write(&self.main)
    }

    /// Returns the messages of an account that has messages.
    pub(crate) fn read_of(&self, account: &str) -> (RwLockReadGuard<'_, MessageStore>, i64) {
        self.read(self.store(account))
    }

    pub(crate) fn write_of(&self, account: &str) -> (RwLockWriteGuard<'_, MessageStore>, i64) {
        self.write(self.store(account))
    }

    fn store(&self, account: &str) -> &RwLock<MessageStore> {
        if account == self.credentials.subaccount_sid {
            &self.subaccount
        } else {
            &self.main
        }
    }

    fn read<'a>(&self, store: &'a RwLock<MessageStore>) -> (RwLockReadGuard<'a, MessageStore>, i64) {
        let now = self.clock.seconds();
        let guard = store.read().unwrap_or_else(PoisonError::into_inner);
        if !guard.is_unsettled(now) {
            return (guard, now);
        }
        drop(guard);
        drop(self.write(store));
        (store.read().unwrap_or_else(PoisonError::into_inner), now)
    }

    fn write<'a>(&self, store: &'a RwLock<MessageStore>) -> (RwLockWriteGuard<'a, MessageStore>, i64) {
        let now = self.clock.seconds();
        let mut guard = store.write().unwrap_or_else(PoisonError::into_inner);
        guard.settle(now);
        (guard, now)
    }

    pub(crate) fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn verifications(&self) -> MutexGuard<'_, Verifications> {
        self.verifications.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the error code for everything sent to `recipient`, if it is unreachable.
    pub(crate) fn unreachable(&self, recipient: &str) -> Option<u32> {
        self.unreachable
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(recipient)
            .copied()
    }

    /// Sets or removes the error code for everything sent to `recipient`.
    pub(crate) fn set_unreachable(&self, recipient: &str, code: Option<u32>) {
        let mut all = self.unreachable.write().unwrap_or_else(PoisonError::into_inner);
        match code {
            Some(code) => all.insert(recipient.to_owned(), code),
            None => all.remove(recipient),
        };
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, RequestLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self, entry: RequestEntry) {
        self.log().record(entry);
    }

    pub(crate) fn revoke(&self, username: &str) {
        self.revoked
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(username.to_owned());
    }

    pub(crate) fn restore(&self, username: &str) {
        self.revoked
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(username);
    }

    pub(crate) fn is_revoked(&self, username: &str) -> bool {
        self.revoked
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(username)
    }
}
