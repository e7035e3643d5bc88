//! `trainyard-host`: HTTP in, wiring, lifecycle. No rule about jobs lives here.
//!
//! [`run`] is the whole program; tests start the same host in their process with [`start`].

pub mod args;
pub mod config;
mod http;
mod lifecycle;
pub mod telemetry;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::http::HeaderValue;
use tokio::task::JoinHandle;

use config::Config;
use lifecycle::Lifecycle;

pub use lifecycle::Signals;
pub use wire::migrate;

/// The OpenAPI document, as the host serves it.
///
/// # Errors
/// None in practice: the document is made of plain data.
pub fn openapi() -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&http::document())?)
}

/// Runs a host until `stop`, then lets it finish what it has begun.
///
/// # Errors
/// The start failed for good, or a part that must never end did.
pub async fn run(config: Config, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let mut running = Running::launch(config).await?;
    let lifecycle = running.lifecycle.clone();
    let ended = tokio::select! {
        () = stop => Ok(()),
        error = running.failed() => Err(error),
        () = lifecycle.broken() => Err(anyhow::anyhow!("a part of the host ended by itself")),
    };
    running.stop().await;
    ended
}

/// Starts a host and waits until it can work.
///
/// # Errors
/// See [`run`].
pub async fn start(config: Config) -> anyhow::Result<Running> {
    let mut running = Running::launch(config).await?;
    match running.ready().await {
        Ok(()) => Ok(running),
        Err(error) => {
            running.stop().await;
            Err(error)
        }
    }
}

/// A host that runs. Call [`Running::stop`]: dropping it leaves its tasks behind.
pub struct Running {
    /// Where it listens, with the port that the system chose.
    pub addr: SocketAddr,
    lifecycle: Lifecycle,
    draining: http::Draining,
    wiring: Option<JoinHandle<anyhow::Result<wire::Wired>>>,
    wired: Option<wire::Wired>,
}

impl Running {
    /// Listens, and begins to connect everything. Until that is done, perhaps because the database
    /// is away, the host answers probes, and everything else with 503.
    ///
    /// # Errors
    /// The address cannot be listened on, or the configuration cannot work.
    pub async fn launch(config: Config) -> anyhow::Result<Self> {
        http::install_metrics();
        let options = options(&config)?;
        let max_connections = config.http.max_connections;
        let starting = http::starting_router(&options);
        let server = http::Server::bind(config.listen, starting, max_connections)
            .await
            .with_context(|| format!("cannot listen on {}", config.listen))?;
        let addr = server.addr()?;
        tracing::info!("Listening on http://{addr}");

        let lifecycle = Lifecycle::default();
        let draining = http::Draining::default();
        let router = server.swap();
        lifecycle.spawn_essential("http", server.run(lifecycle.clone()));
        let wiring = {
            let (lifecycle, draining) = (lifecycle.clone(), draining.clone());
            let tasks = lifecycle.tasks().clone();
            tasks.spawn(async move {
                let (app, wired) = wire::wire(&config, &lifecycle, draining).await?;
                router.store(Arc::new(http::router(app, &options)));
                tracing::info!("Ready");
                Ok(wired)
            })
        };
        Ok(Self { addr, lifecycle, draining, wiring: Some(wiring), wired: None })
    }

    /// Waits until the host can work.
    ///
    /// # Errors
    /// It never will.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let Some(wiring) = &mut self.wiring else { return Ok(()) };
        let wired = wiring.await.context("the start was interrupted").flatten();
        self.wiring = None;
        self.wired = Some(wired?);
        Ok(())
    }

    /// Waits for the start to fail; for ever if it succeeds.
    async fn failed(&mut self) -> anyhow::Error {
        match self.ready().await {
            Ok(()) => std::future::pending().await,
            Err(error) => error,
        }
    }

    /// Stops: readiness turns false, no connection is accepted any more, requests and steps under
    /// way are finished, the store is closed. Takes at most 25 seconds.
    pub async fn stop(mut self) {
        tracing::info!("Stopping");
        self.draining.begin();
        self.lifecycle.stop().await;
        if self.wiring.is_some()
            && let Err(error) = self.ready().await
        {
            tracing::debug!("The start was given up: {error:#}");
        }
        if let Some(wired) = self.wired.take() {
            wired.close().await;
        }
        tracing::info!("Stopped");
    }
}

fn options(config: &Config) -> anyhow::Result<http::Options> {
    let origins = config.http.cors_origins.iter().map(|origin| HeaderValue::from_str(origin));
    Ok(http::Options {
        max_body_bytes: config.http.max_body_bytes,
        request_timeout: Duration::from_secs(config.http.request_timeout_seconds),
        max_requests: config.http.max_requests,
        cors_origins: origins.collect::<Result<_, _>>().context("http.cors_origins")?,
    })
}
