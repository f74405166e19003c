//! What all steps of a run share.

use std::sync::Arc;

use domain::{Connection, Timestamp};
use gateway::{Gateway, ModelTable};
use registry::{Sync, Window};
use store::Lease;
use store::runs::RunNotes;
use store::schedule::Claimed;
use tokio_util::sync::CancellationToken;
use upstream::{Priority, Request, Response, Target};

use crate::checkpoint::Checkpoint;
use crate::failure::Failure;
use crate::options::ListBounds;
use crate::write_order::RequestPosition;
use crate::writer::Writer;

/// What all steps of a run share.
pub(crate) struct Context {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) sync: domain::Sync,
    pub(crate) connection: Connection,
    pub(crate) declared: Arc<Sync>,
    pub(crate) table: Arc<ModelTable>,
    pub(crate) target: Target,
    /// Cancelled when the process shuts down or a reader has failed: the run then stops between two pages.
    pub(crate) stopping: CancellationToken,
    pub(crate) bounds: ListBounds,
    pub(crate) writer: Writer,
}

/// A response of the provider, and when it was requested.
pub(crate) struct Fetched {
    pub(crate) response: Response,
    pub(crate) requested: RequestPosition,
}

impl Context {
    /// Loads the credentials, the sync's declaration, its table and its checkpoint for a claimed run.
    pub(crate) async fn prepare(
        gateway: &Arc<Gateway>,
        claimed: Claimed,
        lease: Lease<domain::Sync>,
        bounds: ListBounds,
        stopping: CancellationToken,
    ) -> Result<Self, Failure> {
        let Claimed {
            sync,
            run,
            connection,
            sealed,
            ..
        } = claimed;
        let mut target = match sealed {
            Some(sealed) => gateway.target_of(&connection, &sealed).await?,
            None => gateway.target(&connection).await?,
        };
        target.priority = Priority::Background;
        Arc::make_mut(&mut target.variables).variant = Some(sync.variant.clone());
        let provider = &target.provider;
        let declared = provider.syncs.get(&sync.name).cloned();
        let declared = declared.ok_or(Failure::NotDeclared)?;
        let table = gateway.table(&provider.name, &sync.name, &sync.variant).await?;
        let table = table.ok_or(Failure::NotDeclared)?;
        let checkpoint = Checkpoint::from_json(&sync.checkpoint).checked(gateway.clock.now());
        let writer = Writer::new(
            Arc::clone(gateway),
            Arc::clone(&table),
            connection.id,
            &run,
            lease,
            checkpoint,
        );
        Ok(Self {
            gateway: gateway.clone(),
            sync,
            connection,
            declared,
            table,
            target,
            stopping,
            bounds,
            writer,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.gateway.clock.now()
    }

    pub(crate) fn window(&self) -> Option<&Window> {
        self.declared.window.as_ref()
    }

    /// How many requests the run may have in flight, and so how many readers it has.
    pub(crate) fn parallel(&self) -> usize {
        let wanted = self.window().map_or(1, |window| window.parallel);
        usize::try_from(wanted.min(self.target.provider.limits.concurrency))
            .unwrap_or(1)
            .max(1)
    }

    /// Requests a page, unless the run is to stop.
    pub(crate) async fn fetch(&self, request: Request) -> Result<Fetched, Failure> {
        let requested = self.writer.request_position().await?;
        let response = self.send(request).await?;
        Ok(Fetched { response, requested })
    }

    /// Sends a request, unless the run is to stop.
    pub(crate) async fn send(&self, request: Request) -> Result<Response, Failure> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => Err(Failure::Stopping),
            response = self.gateway.upstream.fetch(&self.target, request) => Ok(response?),
        }
    }

    /// Records on the run why it is unproved that a list was read to its end.
    pub(crate) fn note_incomplete(&self, reason: String) {
        tracing::warn!(%reason, "a list may not have been read to its end");
        self.writer.note(RunNotes {
            incomplete: Some(reason),
            ..RunNotes::default()
        });
    }
}
