//! Start and end of the process: every task is on one tracker, and a stop reaches all of them.
//!
//! A soft stop asks tasks to finish what they are in; a hard stop no longer waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Shared by everything that runs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    tasks: TaskTracker,
    soft: CancellationToken,
    draining: Arc<AtomicBool>,
    stop: Arc<watch::Sender<bool>>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            tasks: TaskTracker::new(),
            soft: CancellationToken::new(),
            draining: Arc::default(),
            stop: Arc::new(watch::Sender::new(false)),
        }
    }
}

impl Lifecycle {
    /// The tracker on which tasks are spawned.
    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Cancelled when the process is asked to end.
    pub fn stopping(&self) -> &CancellationToken {
        &self.soft
    }

    /// The same for the loops of `training`, which know no cancellation tokens.
    pub fn stop_signal(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Whether a stop was asked for; the readiness probe says no from then on.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Asks every task to finish.
    pub fn stop(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.stop.send_replace(true);
        self.soft.cancel();
    }

    /// Waits until every task has ended.
    pub async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Completes at the first SIGTERM or SIGINT.
///
/// # Errors
/// If the signals cannot be listened to.
pub async fn stop_requested() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: finishing what is under way"),
        _ = interrupt.recv() => tracing::info!("SIGINT: finishing what is under way"),
    }
    Ok(())
}
