//! The wire types of the HTTP API, shared by the host and every client written in Rust. They are
//! promises: a field may be added, never renamed or removed. Nothing here knows the domain.

mod algorithms;
mod clusters;
mod explain;
mod health;
mod imports;
mod jobs;
mod logs;
mod plugins;
mod problem;
mod render;

pub use algorithms::{AlgorithmView, KindView};
pub use clusters::{
    ClusterList, ClusterSummary, ClusterSummaryList, ClusterView, NeededApi, ResourcePage, RoomView,
};
pub use explain::{ExplanationView, LinkState, LinkView};
pub use health::{CheckView, HealthView, ReadyView};
pub use imports::{ImportView, UnmappedView};
pub use jobs::{
    AbandonForm, AttemptList, DeletedView, DeploymentView, Desired, EventView, FailureClass,
    JobPage, JobStatus, JobView, Lifecycle, Phase, PluginView, RetryForm, StatusView,
};
pub use logs::{LogEndView, LogLineView, LogNoteView};
pub use plugins::{
    CanaryRequest, CanaryView, InterpreterList, InterpreterState, InterpreterView, KeptVersionView,
    LastGoodView, PinRequest, PluginDetail, PluginEventPage, PluginEventView, PluginList,
    PluginVersionView, RejectedFileView, RouteView, UsageView, Verdict, VerificationItem,
    VerificationView, VersionState,
};
pub use problem::{ErrorCode, FieldProblem, Problem};
pub use render::{ChangeView, ManifestView, ManifestsView, RenderView};
