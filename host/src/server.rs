//! The accept loop. Ours, because the framework's has neither a limit of connections nor a timeout
//! for the head of a request: a few slow clients would hold it for ever.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::lifecycle::Lifecycle;

/// Pause after a failed `accept`. The usual cause is a lack of file handles, which only time mends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How connections are treated.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most connections at once. Further clients wait in the kernel's queue.
    pub max_connections: usize,
    /// Longest time for the head of a request to arrive; also the longest idle time between two
    /// requests of a connection.
    pub header_timeout: Duration,
}

/// Serves until a stop is asked for, then lets requests under way finish.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, lifecycle: Lifecycle) {
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let graceful = GracefulShutdown::new();
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            () = lifecycle.stopping().cancelled() => break,
        };
        let Some((stream, slot)) = accepted else { break };
        let service = TowerToHyperService::new(router.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        lifecycle.tasks().spawn(async move {
            // The client went away, or was too slow; it sees that itself.
            if let Err(error) = connection.await {
                tracing::debug!(error = &error as &dyn std::error::Error, "Connection ended early");
            }
            drop(slot);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// The next connection with a slot of its own; `None` once there are no slots any more.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small and written at once; waiting for more only delays them.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(error = &error as &dyn std::error::Error, "No TCP_NODELAY");
                }
                return Some((stream, slot));
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "A connection could not be accepted"
                );
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
