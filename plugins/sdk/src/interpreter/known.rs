//! The interpreters of the kinds that this crate builds and that can be held back. Karmada writes the
//! control plane's object over that of a member whenever they differ; a queue in the member, Kueue,
//! works by changing it. The scripts leave to the queue what is the queue's.
//!
//! What a queue owns: the field that holds an object back, unless the control plane sets it; and what
//! says where pods may go, in every pod template, which Kueue fills in when it lets an object start.
//! Not kept: `parallelism` of a Job that Kueue admits in part.

use super::{Interpreter, Operation};
use crate::Kind;
use crate::suspend::{self, SuspendField};

/// Those among the kinds.
pub(crate) fn known(kinds: &[Kind]) -> Vec<Interpreter> {
    suspend::known(kinds).into_iter().map(of).collect()
}

fn of(field: SuspendField) -> Interpreter {
    let name = format!("trainyard-{}", field.kind.to_ascii_lowercase());
    let made = Interpreter::new(name, field.api_version, field.kind)
        .with(Operation::Retention, &retention(&field));
    match (field.api_version, field.kind) {
        ("trainer.kubeflow.org/v1alpha1", "TrainJob") => made
            .with(Operation::StatusAggregation, TRAIN_JOB_AGGREGATION)
            .with(Operation::Health, TRAIN_JOB_HEALTH),
        _ => made,
    }
}

/// The queue's label is looked for on both sides: Kueue gives objects without one the default queue
/// of their namespace, which only the member then knows.
const QUEUED: &str = "\
local function isQueued(object)
  local labels = object.metadata.labels or {}
  return labels['kueue.x-k8s.io/queue-name'] ~= nil
end
";

const KEEP_PLACES: &str = "\
local function keepPlaces(desired, observed)
  if type(desired) ~= 'table' or type(observed) ~= 'table' then
    return
  end
  local pod = desired.spec
  if type(pod) == 'table' and pod.containers ~= nil then
    local there = observed.spec or {}
    for _, name in ipairs({'nodeSelector', 'tolerations', 'schedulingGates'}) do
      pod[name] = there[name]
    end
    local metadata = observed.metadata or {}
    for _, name in ipairs({'labels', 'annotations'}) do
      if metadata[name] ~= nil then
        desired.metadata = desired.metadata or {}
        desired.metadata[name] = metadata[name]
      end
    end
    return
  end
  for name, part in pairs(desired) do
    keepPlaces(part, observed[name])
  end
end
";

/// What Karmada itself does for a Job, which a script replaces: the member's API server generates
/// the selector and the labels that it selects by, and takes no change of them.
const JOB_GENERATED: &str = "\
  local observed = observedObj.spec
  if observed.selector ~= nil and observed.selector.matchLabels ~= nil then
    desiredObj.spec.selector = desiredObj.spec.selector or {}
    desiredObj.spec.selector.matchLabels = observed.selector.matchLabels
  end
  local template = observed.template or {}
  if template.metadata ~= nil and template.metadata.labels ~= nil then
    desiredObj.spec.template.metadata = desiredObj.spec.template.metadata or {}
    desiredObj.spec.template.metadata.labels = template.metadata.labels
  end
";

/// Where a queue writes the places of a TrainJob, which has no pod template of its own. Newer
/// operators have the second list.
const TRAIN_JOB_OVERRIDES: &str = "\
  for _, name in ipairs({'podTemplateOverrides', 'runtimePatches'}) do
    desiredObj.spec[name] = observedObj.spec[name] or desiredObj.spec[name]
  end
";

const TRAIN_JOB_AGGREGATION: &str = "\
function AggregateStatus(desiredObj, statusItems)
  if statusItems ~= nil and #statusItems == 1 then
    desiredObj.status = statusItems[1].status
  end
  return desiredObj
end
";

const TRAIN_JOB_HEALTH: &str = "\
function InterpretHealth(observedObj)
  local conditions = (observedObj.status or {}).conditions or {}
  for _, condition in ipairs(conditions) do
    if condition.type == 'Failed' and condition.status == 'True' then
      return false
    end
  end
  return true
end
";

fn retention(field: &SuspendField) -> String {
    let mut parts: Vec<&str> = field.pointer.split('/').skip(1).collect();
    let name = parts.pop().unwrap_or_default();
    let path = parts.iter().map(|part| format!("'{part}'")).collect::<Vec<_>>().join(", ");
    let (always, queued) = match (field.api_version, field.kind) {
        ("batch/v1", "Job") => (JOB_GENERATED, ""),
        ("trainer.kubeflow.org/v1alpha1", "TrainJob") => ("", TRAIN_JOB_OVERRIDES),
        _ => ("", ""),
    };
    format!(
        "\
{QUEUED}
{KEEP_PLACES}
function Retain(desiredObj, observedObj)
{always}  if not isQueued(desiredObj) and not isQueued(observedObj) then
    return desiredObj
  end
  keepPlaces(desiredObj.spec, observedObj.spec)
{queued}  local desired, observed = desiredObj, observedObj
  for _, name in ipairs({{{path}}}) do
    desired[name] = desired[name] or {{}}
    desired, observed = desired[name], (observed or {{}})[name]
  end
  if not desired.{name} and observed ~= nil then
    desired.{name} = observed.{name}
  end
  return desiredObj
end
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::job::BatchJob;
    use crate::manifest::service::Service;
    use crate::manifest::training_job::PyTorchJob;

    #[test]
    fn kinds_that_can_be_held_back_have_an_interpreter_under_one_name() {
        let made = known(&[BatchJob::kind(), Service::kind(), PyTorchJob::kind()]);
        let names: Vec<&str> = made.iter().map(|one| one.name.as_ref()).collect();
        assert_eq!(names, ["trainyard-job", "trainyard-pytorchjob"]);
        assert_eq!(known(&[Service::kind()]), []);
    }
}
