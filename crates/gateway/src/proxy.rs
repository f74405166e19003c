//! Calls that apps make themselves: handed on to the provider with the connection's credentials, and back as they come.

use std::sync::Arc;
use std::time::Duration;

use domain::{Connection, ConnectionId, EnvironmentId};
use upstream::{ProxyRequest, ProxyResponse, Target};

use crate::brief::Brief;
use crate::gateway::Inner;
use crate::subject::Subject;
use crate::{Caller, GatewayError, Health};

/// How long opened credentials serve further calls: new ones, or a deletion, by another process count after that.
const OPENED: Duration = Duration::from_secs(1);
/// After a refusal that was none, or that could not be looked into, the next one is looked into that much later.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// The use cases of the proxy.
pub struct Proxy(pub(crate) Arc<Inner>);

/// A connection whose credentials are open.
struct Opened {
    row: Connection,
    target: Target,
}

/// Which connection: its environment, its integration and its name as the caller wrote them.
type Name = (EnvironmentId, String, String);

/// What the proxy remembers for a moment.
pub(crate) struct Recent {
    opened: Brief<Name, Arc<Opened>>,
    /// Connections whose health is being looked into, or was just now.
    looked_into: Brief<ConnectionId, ()>,
}

impl Recent {
    pub(crate) fn new() -> Self {
        Self {
            opened: Brief::new(OPENED),
            looked_into: Brief::new(LOOK_AGAIN),
        }
    }

    /// A connection was changed or deleted by this process, which is to count at once.
    pub(crate) fn connections_changed(&self) {
        self.opened.clear();
    }
}

impl Proxy {
    /// Hands a call on. The answer is the provider's, whatever its status; an error means that there is none.
    pub async fn send(
        &self,
        caller: &Caller,
        integration: &str,
        connection: &str,
        call: ProxyRequest,
    ) -> Result<ProxyResponse, GatewayError> {
        let opened = self.opened(caller, integration, connection).await?;
        Subject::found_connection(&opened.row.integration, &opened.row.name);
        let relayed = self.0.upstream.proxy(&opened.target, call).await;
        let relayed = relayed.map_err(GatewayError::Request)?;
        self.note(&opened, &relayed);
        Ok(relayed)
    }

    async fn opened(
        &self,
        caller: &Caller,
        integration: &str,
        connection: &str,
    ) -> Result<Arc<Opened>, GatewayError> {
        let name = (caller.environment, integration.to_owned(), connection.to_owned());
        if let Some(opened) = self.0.recent.opened.get(&name) {
            return Ok(opened);
        }
        let reading = self.0.recent.opened.begin();
        let row = self.0.connection(caller, integration, connection).await?;
        let target = self.0.target(&row).await?;
        let opened = Arc::new(Opened { row, target });
        self.0.recent.opened.put(name, Arc::clone(&opened), reading);
        Ok(opened)
    }

    /// What the answer says of the credentials: looked into behind the caller's back, one look at a time.
    fn note(&self, opened: &Arc<Opened>, relayed: &ProxyResponse) {
        let (id, marked) = (opened.row.id, opened.row.problem.is_some());
        let refused = relayed.unauthorized;
        let worth_it = if refused {
            !marked
        } else {
            marked && relayed.status < 400
        };
        if !worth_it || self.0.recent.looked_into.get(&id).is_some() {
            return;
        }
        let looked_into = &self.0.recent.looked_into;
        looked_into.put(id, (), looked_into.begin());
        let (inner, opened) = (Arc::clone(&self.0), Arc::clone(opened));
        tokio::spawn(async move {
            let noted = if refused {
                let health = inner.check_health(&opened.row, &opened.target).await;
                health.map(|health| matches!(health, Health::Refused(_)))
            } else {
                inner.note_success(&opened.row).await.map(|()| true)
            };
            match noted {
                Ok(false) => {}
                Ok(true) => {
                    inner.recent.connections_changed();
                    inner.recent.looked_into.forget(&id);
                }
                // The call itself went well; the next one brings it up again.
                Err(error) => tracing::warn!(
                    integration = %opened.row.integration,
                    connection = %opened.row.name,
                    %error,
                    "what a request says of its credentials was not stored"
                ),
            }
        });
    }
}
