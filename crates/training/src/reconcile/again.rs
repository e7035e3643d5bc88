//! Keeps what is over from running again: Karmada is told to leave the workload of a job that ended
//! as it is on the members, and a run that began all the same is told and stopped.

use std::collections::HashSet;

use super::dispatch::Step;
use super::observe::workload_ref;
use super::reading::{Pauses, read};
use super::{Reconcilers, StepError};
use crate::decide::{Decision, Observation, ran_again};
use crate::intent::Claimed;
use crate::job::Job;
use crate::manifest::ObjectRef;
use crate::ports::Seen;
use crate::propagation::policy_ref;

impl Reconcilers {
    /// Tells Karmada to bring nothing of the job to a member any more.
    pub(super) async fn seal(&self, intent: &Claimed, job: &Job) -> Result<Step, StepError> {
        self.control.seal(&policy_ref(job)).await?;
        self.store.settle(intent.id, &self.config.owner).await?;
        Ok(Step::Settled)
    }

    /// Looks at the jobs among these workloads that are over. Returns the workloads that it knows.
    pub(super) async fn look_at_rest(
        &self,
        workloads: &[ObjectRef],
        pauses: &Pauses,
    ) -> Result<HashSet<ObjectRef>, StepError> {
        let mut known = HashSet::new();
        if workloads.is_empty() {
            return Ok(known);
        }
        let jobs = self.store.at_rest_among(workloads).await?;
        let refs: Vec<_> = jobs.iter().map(workload_ref).collect();
        let all_seen = self.control.observe(&refs).await?;
        for ((job, seen), workload) in jobs.into_iter().zip(all_seen).zip(refs) {
            if self.ran_again(&job, seen, pauses).await.is_some() {
                // Another host may have recorded an end that has not come here yet: only what the
                // API server says now proves another run.
                let trace = self.control.trace(&workload, &policy_ref(&job)).await;
                if let Ok(Some(binding)) = trace.binding {
                    let seen = Seen { binding: Some(binding.seen), exists: None };
                    if let Some(decision) = self.ran_again(&job, seen, pauses).await {
                        tracing::warn!(
                            job.id = %job.id,
                            "Job `{}` was over and its workload ran again on its cluster", job.id
                        );
                        // Stale means that another host says the same.
                        self.store
                            .transition(&decision.after, &decision.event, &decision.effects)
                            .await?;
                    }
                }
            }
            known.insert(workload.object);
        }
        Ok(known)
    }

    async fn ran_again(&self, job: &Job, seen: Seen, pauses: &Pauses) -> Option<Decision> {
        let (reports, _) = read(&*self.plugins, &*self.clock, pauses, job, &seen).await;
        let observation = Observation { seen, reports, away: None };
        ran_again(job, &observation, self.clock.now())
    }
}
