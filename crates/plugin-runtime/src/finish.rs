//! Work that its caller may leave, but that is not left half done: it is polled where it is awaited,
//! which saves two switches between threads, and goes on in a task if it is dropped before its end.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_util::task::TaskTracker;

/// A future that ends, whether it is awaited or not, once it was polled.
pub(crate) struct Finish<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    begun: bool,
    tasks: TaskTracker,
}

/// Makes one; `tasks` gets it if it is dropped half way.
pub(crate) fn finish<T: Send + 'static>(
    tasks: &TaskTracker,
    work: impl Future<Output = T> + Send + 'static,
) -> Finish<T> {
    Finish { work: Some(Box::pin(work)), begun: false, tasks: tasks.clone() }
}

impl<T: Send + 'static> Future for Finish<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.begun = true;
        let Some(work) = &mut self.work else { return Poll::Pending };
        let answer = std::task::ready!(work.as_mut().poll(context));
        self.work = None;
        Poll::Ready(answer)
    }
}

impl<T: Send + 'static> Drop for Finish<T> {
    fn drop(&mut self) {
        let Some(work) = self.work.take().filter(|_| self.begun) else { return };
        // Outside of an executor the whole program ends, and its children with it.
        if let Ok(executor) = tokio::runtime::Handle::try_current() {
            self.tasks.spawn_on(work, &executor);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn what_was_begun_ends_though_nobody_waits() {
        let (tasks, go, done) =
            (TaskTracker::new(), Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let work = |done: &Arc<AtomicBool>| {
            let (go, done) = (Arc::clone(&go), Arc::clone(done));
            finish(&tasks, async move {
                go.notified().await;
                done.store(true, Ordering::SeqCst);
            })
        };
        let mut begun = work(&done);
        assert!(futures_util::poll!(&mut begun).is_pending());
        drop(begun);
        go.notify_one();
        let never = Arc::new(AtomicBool::new(false));
        drop(work(&never));
        tasks.close();
        tasks.wait().await;
        assert!(done.load(Ordering::SeqCst));
        assert!(!never.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn answer_comes_to_who_waits() {
        let tasks = TaskTracker::new();
        assert_eq!(finish(&tasks, async { 7 }).await, 7);
        assert!(tasks.is_empty());
    }
}
