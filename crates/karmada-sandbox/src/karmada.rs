//! stub
#[derive(Debug, Default)] pub(crate) struct State { pub(crate) failed_job_status_lost: bool }
pub(crate) fn control_plane_changed(_: &mut crate::sim::World, _: &crate::objects::Change) {}
pub(crate) fn member_changed(_: &mut crate::sim::World, _: &str, _: &crate::objects::Change) {}
pub(crate) mod clusters { use crate::sim::World; pub(crate) fn join(_: &mut World, _: &str) {} pub(crate) fn poll(_: &mut World, _: &str) {} pub(crate) fn readiness(_: &mut World, _: &str) {} pub(crate) fn resync(_: &mut World, _: &str) {} }
