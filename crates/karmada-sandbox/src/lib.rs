//! An in-memory Karmada control plane with member clusters, over plain HTTP.
//!
//! Unmodified clients (`kube`, `kubectl`) talk to it; Karmada's controllers, the members' workload
//! controllers and a kubelet are imitated closely enough that a program which works against it
//! works against the real thing, including the traps: jobs copied to every matching cluster,
//! bindings frozen during an outage, members that re-create what is deleted in them. It shares no
//! code with the rest of the workspace, so it cannot share its mistakes.
//!
//! It is not a security boundary (everybody may do everything) and not a scheduler benchmark.
//!
//! # Use
//!
//! In tests, through [`Sandbox`]: [`Config::stepped`] freezes time until [`Sandbox::step`].
//! As a program, `karmada-sandbox --kubeconfig-out FILE`.
//!
//! # Steering a workload
//!
//! Annotations on a RayJob, Job, JobSet, TrainJob, PyTorchJob, TFJob, MPIJob or Deployment (they travel
//! through Karmada like any other):
//!
//! | annotation | values |
//! |---|---|
//! | `sandbox.trainyard.dev/outcome` | `succeed` (default), `fail`, `hang`, `oom`, `image-pull`, `unschedulable`, `crash-loop`, `evict`; `fail-once` fails the first attempt only; on a PersistentVolumeClaim `unbound` |
//! | `sandbox.trainyard.dev/duration-seconds` | how long it computes once it runs, default 4 |
//! | `sandbox.trainyard.dev/log-noise-bytes` | on a Pod: so much is in its log before its first step |
//!
//! The pods of a Deployment run until they are deleted: there `fail` and `oom` are a crash loop, too, and
//! with `hang` a pod that has a readiness probe never is ready.
//!
//! # How it reads a kind
//!
//! The scripts of an installed `ResourceInterpreterCustomization` run in Lua 5.1, as in Karmada, for
//! retention, status reflection, status aggregation and health. The other operations, and Karmada's
//! `kube` library, are not imitated. [`call_lua`] runs one script alone, as `karmadactl interpret` does.
//!
//! # The private HTTP API
//!
//! Everything under `/sandbox/v1/`, JSON in and out:
//!
//! | request | effect |
//! |---|---|
//! | `GET time` | `{"now": …, "mode": "auto"\|"stepped"}` |
//! | `POST step` `{"seconds": 1.5}` | advances a stepped sandbox and settles it |
//! | `POST settle` | runs every controller until nothing changes |
//! | `GET audit`, `DELETE audit` | mutating requests so far; forget them and the counters |
//! | `GET counts` | requests by verb and resource |
//! | `POST faults/fail` `{"match": "POST */rayjobs*", "status": 503, "times": 2}` | also with `"percent": 10` instead of `times`, or `"after": true` to carry the request out first |
//! | `POST faults/latency` `{"match": "*", "milliseconds": 200}` | delays requests |
//! | `POST faults/hang` `{"match": "GET */pods*"}` | leaves requests unanswered |
//! | `POST faults/clear` | removes all of the above |
//! | `POST faults/drop-watches`, `POST faults/expire-watches` | ends watches; ends them and forgets history (410) |
//! | `POST faults/member-down`, `member-up` `{"cluster": "member1"}` | an outage and its end |
//! | `POST faults/operators-down`, `operators-up` `{"cluster": "member1"}` | workload controllers stop, start |
//! | `POST faults/remove-crds`, `install-crds` `{"cluster": "member1", "group": "ray.io"}` | without `cluster`: the control plane |
//! | `POST faults/annotate` `{"cluster": "member1", "kind": "RayJob", "name": "a*", "key": …, "value": …}` | annotates new objects, as a mutating webhook does; without `cluster`: the control plane |
//! | `POST faults/refuse` `{"cluster": "member1", "resource": "pods", "why": "exceeded quota: …"}` | refuses new objects, as a quota or a validating webhook does |
//! | `POST faults/webhook`, `POST faults/aggregated` `{"down": true}` | parts of Karmada stop, start |
//! | `POST delete-member-object` `{"cluster", "apiVersion", "kind", "namespace", "name"}` | deletes behind Karmada's back |

mod admission;
mod audit;
mod clock;
mod config;
mod faults;
mod json;
mod karmada;
mod kinds;
mod lua;
mod objects;
mod sandbox;
mod server;
mod sim;
mod status;

pub use self::{
    audit::AuditEntry,
    config::{ClusterConfig, Config, TimeMode},
    faults::{Faults, LateRequests, Matcher},
    lua::call as call_lua,
    sandbox::Sandbox,
};
