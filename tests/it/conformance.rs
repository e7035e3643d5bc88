//! What the host promises of a Karmada, shown against any: a real one that
//! `TRAINYARD_TEST_KUBECONFIG` names, or the sandbox as a process of its own. Only what Karmada and
//! Kubernetes document is relied upon, and the host is used through its public API.
//!
//! Nothing has to run on the members: they may be bare API servers. So the suite plays the parts of
//! whoever would be there: it writes the status of a workload as its operator does, and lets go of
//! volumes as their controller does.

mod ends;
mod life;
mod member;
mod suite;
mod target;
