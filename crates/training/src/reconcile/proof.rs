//! When the absence of a job's objects proves that there will be none. An API server may carry out
//! an order to make an object long after whoever sent it gave up on the answer; a job that is called
//! deleted before then could come back as a ghost, which nobody follows and which holds its GPUs.

use std::time::Duration;

use serde_json::Value;

use super::Config;
use crate::clock::Timestamp;
use crate::intent::Claimed;
use crate::job::{Event, Job};

/// Kind of the event by which a job was written, and the member of its evidence that counts the tries
/// before it.
pub(super) const APPLIED: &str = "Applied";
pub(super) const EARLIER_TRIES: &str = "earlierTries";

/// Between the first look that found nothing and the last one, so long from look to look.
pub(super) const LOOK: Duration = Duration::from_secs(15);

/// The earliest time of the look that decides; `None` if any look does, because nothing was ever
/// written.
///
/// What makes the workload is sent under the lease of the job's [`IntentKind::Apply`], and a removal
/// is claimed only when no such lease is left: so everything was sent before `first_look`, the first
/// time that this process had the removal. After a restart only the intent's age is known, and a
/// lease may have been held when it was recorded. A job that was applied was sent for the last time
/// before that was recorded, whatever became of earlier tries.
///
/// [`IntentKind::Apply`]: crate::intent::IntentKind::Apply
pub(super) fn due(
    job: &Job,
    intent: &Claimed,
    first_look: Timestamp,
    config: &Config,
) -> Option<Timestamp> {
    // It is on record before anything is written.
    job.placement.as_ref()?;
    let last_sent =
        job.submitted_at.unwrap_or_else(|| first_look.min(intent.created_at + config.lease));
    Some(last_sent + config.proof)
}

/// Whether the job was written at the first try, and so every order to make it was answered: then
/// none can be carried out late.
pub(super) fn was_answered(history: &[Event]) -> bool {
    history.iter().any(|event| {
        let earlier = event.evidence.get(EARLIER_TRIES).and_then(Value::as_u64);
        event.kind == APPLIED && earlier == Some(0)
    })
}

/// Why the job is not gone yet, for its user.
pub(super) fn sentence(until: Timestamp) -> String {
    let until = until.as_second();
    let until = Timestamp::from_second(until).unwrap_or(Timestamp::MAX);
    format!(
        "Nothing of it is left anywhere. A last look follows at {until}, because an order to make it \
         that was given up may still be carried out until then."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ClusterName;
    use crate::intent::IntentKind;
    use crate::job::Placement;
    use crate::testing_values::job;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    #[test]
    fn only_what_may_have_been_written_needs_a_second_look() {
        let config = Config::new("a");
        assert_eq!(config.proof, Duration::from_secs(75));
        let mut job = job("a");
        let intent = Claimed {
            id: 1,
            job_id: job.id.clone(),
            kind: IntentKind::Delete,
            attempts: 0,
            created_at: at(0),
        };
        assert_eq!(due(&job, &intent, at(1), &config), None, "nothing was ever written");
        job.placement = Some(Placement {
            clusters: vec![ClusterName::parse("m").unwrap()],
            reason: String::new(),
        });
        assert_eq!(due(&job, &intent, at(1), &config), Some(at(76)), "from the first look");
        assert_eq!(due(&job, &intent, at(500), &config), Some(at(105)), "a lease after the wish");
        job.submitted_at = Some(at(-1000));
        assert_eq!(due(&job, &intent, at(1), &config), Some(at(-925)), "any look is late enough");
    }

    #[test]
    fn sentence_names_the_time_of_the_last_look() {
        let text = sentence(Timestamp::UNIX_EPOCH + Duration::from_millis(75_900));
        assert!(text.contains("at 1970-01-01T00:01:15Z,"), "{text}");
    }
}
