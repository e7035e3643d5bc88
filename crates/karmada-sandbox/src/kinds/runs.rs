//! What the workload controllers remember about an object between two looks: since when it has
//! been in its present stage, more exactly than a Kubernetes timestamp can say.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;

use crate::{clock, objects::Key, sim::World};

#[derive(Debug, Default)]
pub(crate) struct Runs(HashMap<String, (String, Timestamp)>);

impl Runs {
    pub(crate) fn forget(&mut self, uid: &str) {
        self.0.remove(uid);
    }

    /// Since when the object with this uid has been in this stage.
    fn enter(&mut self, uid: &str, stage: &str, now: Timestamp) -> (bool, Timestamp) {
        match self.0.get(uid) {
            Some((known, since)) if known == stage => (false, *since),
            _ => {
                self.0.insert(uid.to_owned(), (stage.to_owned(), now));
                (true, now)
            }
        }
    }
}

impl World {
    /// Whether an object has been in `stage` for `usual`. Asks to be woken when it has.
    pub(super) fn has_been(
        &mut self,
        cluster: &str,
        key: &Key,
        uid: &str,
        stage: &str,
        usual: Duration,
    ) -> bool {
        let now = self.now;
        let Some(member) = self.members.get_mut(cluster) else { return false };
        let (entered, since) = member.runs.enter(uid, stage, now);
        if entered {
            self.wake_in(usual, Some(cluster), key);
        }
        clock::after(since, self.scaled(usual)) <= now
    }
}
