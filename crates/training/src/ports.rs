//! What the use-cases need from the outside, as traits. The adapters (`job-store`,
//! `karmada-client`, `plugin-runtime`) implement them; tests use those of `testing`.

mod archive;
mod control;
mod members;
mod plugins;
mod registry;
mod store;

pub use archive::{ArchiveState, ArchiveTask, ArchivedLog, LogArchive, LogKey};
pub use control::{
    BindingSeen, BindingTrace, Cluster, ControlError, ControlPlane, MemberSeen, ObjectTrace, Owned,
    Reach, Remaining, Removal, Seen, Shared, Trace, WorkTrace, WorkloadRef, Write, WriteOrder,
};
pub use members::{
    ContainerEnd, ContainerSeen, ContainerState, EventSeen, LogBytes, LogQuery, MemberError,
    Members, ObjectPage, ObjectQuery, PodSeen,
};
pub use plugins::{
    Audience, CatalogView, Conversion, ConversionInput, ConvertRefusal, FieldError, Interpreter,
    LogTarget, PluginChange, PluginFault, PluginInfo, PluginKind, PluginVersion, Plugins, Prepared,
    RejectedFile, Report, RunState, Signature, Usage, VersionState,
};
pub use registry::{
    Canary, ComponentArchive, FileNotes, KeptComponent, KeptVersion, NewPluginEvent, PluginEvent,
    PluginRegistry, Route,
};
pub use store::{Effects, Idempotency, Inserted, JobStore, ListQuery, Moved, NewJob, StoreError};
