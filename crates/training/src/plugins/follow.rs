//! The loop that keeps this process and the record of plugins together: what happened here goes
//! into the history, what was decided elsewhere is taken over here.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::json;

use super::PluginPorts;
use crate::ports::{NewPluginEvent, PluginChange, Route, StoreError};
use crate::reconcile::Stop;

/// The event of a release, which every process carries out for itself.
pub(super) const RELEASED: &str = "Released";

/// Longest time between two rounds without a hint. A round that finds nothing is two small reads,
/// and what was decided on another host is in force here after it at the latest.
const INTERVAL: Duration = Duration::from_secs(1);

/// Events that wait for a store that does not answer. As many as the runtime keeps.
const MOST_WAITING: usize = 1000;

/// Events that are looked at for releases in one round.
const LOOK_BACK: u32 = 100;

/// The loop of one process.
pub struct Follower {
    ports: PluginPorts,
    /// Name of this process, for the evidence of what happened in it.
    host: String,
    /// Happened, but is not on record yet.
    waiting: VecDeque<NewPluginEvent>,
    /// In force in this process.
    routes: Option<Vec<Route>>,
    /// The newest event that was looked at.
    seen: Option<i64>,
}

impl Follower {
    /// Puts the loop together; nothing runs yet.
    pub fn new(ports: PluginPorts, host: impl Into<String>) -> Self {
        Self { ports, host: host.into(), waiting: VecDeque::new(), routes: None, seen: None }
    }

    /// Follows until `stop`. Run it once per process; several processes may.
    pub async fn follow(mut self, mut stop: Stop) {
        let hint = self.ports.plugins.hint();
        while !*stop.borrow() {
            // Listening starts before looking, or a hint between the two would be lost.
            let woken = hint.notified();
            if let Err(error) = self.round().await {
                let error = &error as &(dyn std::error::Error + 'static);
                tracing::warn!(error, "A round of `plugins` failed; the next one tries again");
            }
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(INTERVAL) => {}
                // An error means that the sender is gone, which is a stop as well.
                _ = stop.wait_for(|stopped| *stopped) => {}
            }
        }
        // What happened last is on record, too, if the store still answers.
        if let Err(error) = self.record().await {
            let error = &error as &(dyn std::error::Error + 'static);
            tracing::warn!(error, "The last changes of plugins could not be recorded");
        }
    }

    /// One round. Run it once before the process takes jobs, so that none of them meets a version
    /// that was not meant for it.
    ///
    /// # Errors
    /// The store failed; the next round does what this one could not.
    pub async fn round(&mut self) -> Result<(), StoreError> {
        // Routes first: while the history cannot be written, decisions are still taken over.
        let routes = self.ports.registry.routes().await?;
        if self.routes.as_ref() != Some(&routes) {
            self.ports.plugins.set_routes(&routes).await;
            self.routes = Some(routes);
        }
        self.take_over_releases().await?;
        self.record().await
    }

    /// Carries out releases since the last round. A process that has just started has nobody in
    /// quarantine, so it only notes where the history ends.
    async fn take_over_releases(&mut self) -> Result<(), StoreError> {
        let newest = self.ports.registry.plugin_events(None, None, 1).await?;
        let newest = newest.first().map_or(0, |event| event.id);
        let Some(seen) = self.seen.filter(|seen| *seen < newest) else {
            self.seen = Some(newest);
            return Ok(());
        };
        let events = self.ports.registry.plugin_events(None, None, LOOK_BACK).await?;
        self.seen = events.first().map(|event| event.id);
        for event in events.iter().filter(|event| event.id > seen && event.event.kind == RELEASED) {
            if let Some(digest) = event.event.digest {
                self.ports.plugins.release(&digest);
            }
        }
        Ok(())
    }

    /// Writes what happened. After an error it may be on record nevertheless, and then is twice: a
    /// history with a line too many is better than one with a gap.
    async fn record(&mut self) -> Result<(), StoreError> {
        let now = self.ports.clock.now();
        for change in self.ports.plugins.take_changes() {
            // The use-case has recorded who did it.
            if change.kind != RELEASED {
                self.waiting.push_back(event(change, &self.host, now));
            }
        }
        while self.waiting.len() > MOST_WAITING {
            self.waiting.pop_front();
        }
        if self.waiting.is_empty() {
            return Ok(());
        }
        let events: Vec<NewPluginEvent> = self.waiting.iter().cloned().collect();
        self.ports.registry.record(&events).await?;
        self.waiting.clear();
        Ok(())
    }
}

fn event(change: PluginChange, host: &str, at: crate::Timestamp) -> NewPluginEvent {
    NewPluginEvent {
        at,
        plugin: change.plugin,
        kind: change.kind.to_owned(),
        digest: change.digest,
        actor: "host".to_owned(),
        message: change.message,
        evidence: json!({"host": host, "version": change.version, "file": change.file}),
    }
}
