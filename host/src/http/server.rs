//! The accept loop. `axum::serve` has neither a limit of connections nor a timeout for the head of
//! a request, so one slow client per socket could hold the host for ever.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use super::stall::Stall;
use crate::lifecycle::Lifecycle;

/// Time for the head of a request, and between two requests of one connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// The same beyond the limit of connections.
const SPARE_HEADER_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections beyond the limit, for one request each: a probe that found none would have the host
/// restarted for being busy.
const SPARE: usize = 16;
/// Time for a client to take anything at all of what it is sent.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after the system refused a connection: it is out of files, and trying at once would only
/// burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves one router at a time.
pub(crate) struct Server {
    listener: TcpListener,
    router: Arc<ArcSwap<Router>>,
    max_connections: usize,
}

impl Server {
    /// Listens. Requests wait until [`Server::run`].
    pub(crate) async fn bind(
        addr: SocketAddr,
        first: Router,
        max_connections: usize,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let router = Arc::new(ArcSwap::from_pointee(first));
        Ok(Self { listener, router, max_connections })
    }

    /// The address, with the port that the system chose.
    pub(crate) fn addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Changes what is served; requests under way end with the router they began with.
    pub(crate) fn swap(&self) -> Arc<ArcSwap<Router>> {
        Arc::clone(&self.router)
    }

    /// Serves until the soft stop, then finishes what has begun.
    pub(crate) async fn run(self, lifecycle: Lifecycle) {
        let graceful = GracefulShutdown::new();
        let slots = Arc::new(Semaphore::new(self.max_connections.min(Semaphore::MAX_PERMITS)));
        let spare = Arc::new(Semaphore::new(SPARE));
        loop {
            let accepted = async {
                // Neither is ever closed, so there always comes a slot.
                let place = tokio::select! {
                    biased;
                    slot = Arc::clone(&slots).acquire_owned() => (Use::Kept, slot),
                    slot = Arc::clone(&spare).acquire_owned() => (Use::Once, slot),
                };
                (place, self.listener.accept().await)
            };
            let ((usage, slot), accepted) = tokio::select! {
                accepted = accepted => accepted,
                () = lifecycle.soft().cancelled() => break,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "A connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let connection = graceful.watch(connect(stream, usage, Arc::clone(&self.router)));
            lifecycle.spawn(async move {
                // An error is the client's: it went away, was too slow or spoke no HTTP.
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "A connection ended early");
                }
                drop(slot);
            });
        }
        // New connections are refused from here on.
        drop(self.listener);
        graceful.shutdown().await;
    }
}

/// How long a connection serves.
enum Use {
    /// As long as its client likes.
    Kept,
    /// For one request.
    Once,
}

fn connect(
    stream: TcpStream,
    usage: Use,
    router: Arc<ArcSwap<Router>>,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    // Answers are small; waiting to fill a packet only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "A connection keeps its delay");
    }
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let router = Router::clone(&router.load());
        router.oneshot(request.map(Body::new))
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    match usage {
        Use::Kept => http.header_read_timeout(HEADER_TIMEOUT),
        Use::Once => http.header_read_timeout(SPARE_HEADER_TIMEOUT).keep_alive(false),
    };
    http.serve_connection(TokioIo::new(Stall::new(stream, WRITE_TIMEOUT)), service)
}
