//! Every task of the process, and how they end: a soft stop asks, a hard stop does not.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Time for everything to end by itself. With [`HARD_STOP`] and the closing of the store it stays
/// below 25 s, and that below the 30 s that Kubernetes waits before it kills.
const SOFT_STOP: Duration = Duration::from_secs(20);
/// Time for what had to be interrupted.
const HARD_STOP: Duration = Duration::from_secs(2);

/// Spawns tasks and ends them. Clones are the same lifecycle.
#[derive(Clone, Default)]
pub(crate) struct Lifecycle {
    tasks: TaskTracker,
    soft: CancellationToken,
    hard: CancellationToken,
    broken: CancellationToken,
}

impl Lifecycle {
    /// Where an adapter may spawn tasks of its own; they must end with [`Self::soft`].
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Cancelled when everything should come to its end.
    pub(crate) fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Spawns a task that ends by itself after the soft stop, or is interrupted by the hard one.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let hard = self.hard.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = task => {}
                () = hard.cancelled() => {}
            }
        });
    }

    /// Spawns a task without which the host is of no use. If it ends before the soft stop, by a
    /// panic or otherwise, the whole host does: a restart repairs it, half a host does not.
    pub(crate) fn spawn_essential(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let this = self.clone();
        self.spawn(async move {
            // A guard, because a panic unwinds through here.
            let guard = Essential { lifecycle: this, name };
            task.await;
            drop(guard);
        });
    }

    /// Waits until an essential task has ended too early.
    pub(crate) async fn broken(&self) {
        self.broken.cancelled().await;
    }

    /// Asks every task to end, waits, and interrupts the rest.
    pub(crate) async fn stop(&self) {
        self.soft.cancel();
        self.tasks.close();
        if tokio::time::timeout(SOFT_STOP, self.tasks.wait()).await.is_ok() {
            return;
        }
        tracing::warn!("{} tasks did not end in time and are interrupted", self.tasks.len());
        self.hard.cancel();
        if tokio::time::timeout(HARD_STOP, self.tasks.wait()).await.is_err() {
            tracing::warn!("{} tasks are left behind", self.tasks.len());
        }
    }
}

struct Essential {
    lifecycle: Lifecycle,
    name: &'static str,
}

impl Drop for Essential {
    fn drop(&mut self) {
        if !self.lifecycle.soft.is_cancelled() {
            tracing::error!("Task `{}` ended although the host goes on", self.name);
            self.lifecycle.broken.cancel();
        }
    }
}

/// SIGTERM and SIGINT of this process.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on; the signals do not end the process any more.
    ///
    /// # Errors
    /// The system refuses.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn stop_waits_for_tasks_and_interrupts_those_that_do_not_end() {
        let lifecycle = Lifecycle::default();
        let finished = Arc::new(AtomicBool::new(false));
        let (soft, flag) = (lifecycle.soft().clone(), Arc::clone(&finished));
        lifecycle.spawn_essential("polite", async move {
            soft.cancelled().await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            flag.store(true, Ordering::SeqCst);
        });
        lifecycle.spawn(std::future::pending());
        lifecycle.stop().await;
        assert!(finished.load(Ordering::SeqCst));
        assert!(lifecycle.tasks().is_empty());
        assert!(!lifecycle.broken.is_cancelled());
    }

    #[tokio::test]
    async fn essential_task_that_ends_breaks_the_host() {
        let lifecycle = Lifecycle::default();
        lifecycle.spawn_essential("brief", async {});
        lifecycle.broken().await;
        let lifecycle = Lifecycle::default();
        lifecycle.spawn_essential("clumsy", async { panic!("on purpose") });
        lifecycle.broken().await;
    }
}
