//! Every decision about a training job, and nothing that can do I/O.
//!
//! | module | what it holds |
//! |---|---|
//! | [`id`], [`job`], [`phase`], [`manifest`], [`intent`] | values |
//! | [`form`] | what a user sent, to a value or to every mistake in it |
//! | [`admit`](mod@admit), [`placement`], [`propagation`], [`dependents`], [`decide`](mod@decide), [`routing`] | pure decisions |
//! | [`clock`], [`ports`] | what is needed from outside, as traits |
//! | [`submit`](mod@submit), [`rerun`], [`hold`], [`cancel`], [`verify`](mod@verify), [`plugins`], [`logs`] | use-cases of a request |
//! | [`explain`](mod@explain) | why a job does not run, or why it ended so |
//! | [`inspect`], [`room`](mod@room) | what clients may see of clusters, and what room these have |
//! | [`reconcile`] | the loops that carry intents out and follow the clusters |
//! | `testing` | in-memory ports and the store's contract suite (feature `testing`) |
//!
//! Invariants: a phase changes only by [`decide`](mod@decide) or by a use-case through
//! [`phase::Phase::may_become`]; no outside effect without an intent row; the request path never
//! calls the cluster; reconcilers take no input; time and identifiers are passed in.

pub mod admit;
pub mod cancel;
pub mod clock;
pub mod decide;
pub mod dependents;
pub mod explain;
pub mod form;
pub mod hold;
pub mod id;
pub mod import;
pub mod inspect;
pub mod intent;
pub mod job;
pub mod logs;
pub mod manifest;
pub mod phase;
pub mod placement;
pub mod plugins;
pub mod ports;
pub mod propagation;
pub mod reconcile;
pub mod rerun;
pub mod room;
pub mod routing;
pub mod submit;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod testing_values;
pub mod verify;
pub mod volumes;

pub use clock::{Clock, IdSource, Timestamp};
pub use id::{ClusterName, JobId, JobName, Namespace, PluginDigest, Sha256Digest};
