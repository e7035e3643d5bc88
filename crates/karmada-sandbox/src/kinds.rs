//! stub
pub(crate) mod nodes { use crate::{ClusterConfig, objects::Api}; #[derive(Debug)] pub(crate) struct Nodes; impl Nodes { pub(crate) fn install(_c:&ClusterConfig,_a:&mut Api)->Self{Nodes} } }
pub(crate) mod runs { #[derive(Debug, Default)] pub(crate) struct Runs; }
pub(crate) fn changed(_: &mut crate::sim::World, _: &str, _: &crate::objects::Change) {}
pub(crate) fn is_simulated(_: crate::objects::Res) -> bool { false }
pub(crate) mod logs { use jiff::Timestamp; use serde_json::Value; use crate::status::ApiResult;
pub(crate) struct Lines { pub(crate) lines: Vec<(Timestamp, String)>, pub(crate) ended: bool }
pub(crate) fn lines(_: &Value, _: &str, _: Timestamp, _: f64) -> ApiResult<Lines> { Ok(Lines{lines:vec![], ended:true}) } }
