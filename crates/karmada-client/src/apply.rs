//! Writing objects: made by us, or proven ours, or not touched.

use std::collections::BTreeMap;

use kube::api::{Patch, PatchParams, PostParams};
use kube::core::request::Request as Requests;
use serde::Deserialize;
use serde_json::{Value, json};
use training::JobId;
use training::manifest::{LABEL_JOB_ID, LABEL_ORIGIN, ObjectRef};
use training::ports::{ControlError, WorkloadRef, Write, WriteOrder};

use crate::KarmadaClient;
use crate::error::CallError;
use crate::shared::named;

/// What of an object says whose it is.
#[derive(Debug, Deserialize)]
pub(crate) struct Head {
    metadata: Metadata,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    uid: String,
    labels: Option<BTreeMap<String, String>>,
    deletion_timestamp: Option<String>,
}

impl Head {
    pub(crate) fn uid(&self) -> &str {
        &self.metadata.uid
    }

    pub(crate) fn label(&self, name: &str) -> &str {
        self.metadata.labels.as_ref().and_then(|labels| labels.get(name)).map_or("", String::as_str)
    }

    pub(crate) fn is_being_deleted(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}

/// An order, read as far as it is needed.
struct Order<'a> {
    object: ObjectRef,
    document: &'a Value,
    write: Write,
}

impl<'a> Order<'a> {
    fn read(order: &'a WriteOrder) -> Self {
        let document = &order.document;
        let text = |pointer: &str| {
            document.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let object = ObjectRef {
            api_version: text("/apiVersion"),
            kind: text("/kind"),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
        };
        Self { object, document, write: order.write }
    }

    fn label(&self, name: &str) -> &str {
        let labels = self.document.pointer("/metadata/labels");
        labels.and_then(|labels| labels.get(name)).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether an object that is already there may pass for what this order makes.
    fn may_adopt(&self, existing: &Head, job_id: &JobId) -> bool {
        let origin = self.label(LABEL_ORIGIN);
        let same_origin = !origin.is_empty() && existing.label(LABEL_ORIGIN) == origin;
        match self.write {
            Write::Vacant | Write::Create => {
                same_origin && existing.label(LABEL_JOB_ID) == job_id.as_str()
            }
            // A volume and the policy over it outlive the job that made them.
            Write::Apply | Write::CreateOrKeep | Write::Offer | Write::Grow => same_origin,
        }
    }
}

impl KarmadaClient {
    #[tracing::instrument(
        name = "karmada.write",
        skip_all,
        fields(job.id = %job_id, objects = orders.len())
    )]
    pub(crate) async fn write_all(
        &self,
        job_id: &JobId,
        orders: &[WriteOrder],
    ) -> Result<Vec<String>, ControlError> {
        let mut uids = Vec::with_capacity(orders.len());
        for order in orders {
            uids.push(self.write_one(job_id, &Order::read(order)).await?);
        }
        Ok(uids)
    }

    /// Every kind of write begins with a create, because that alone can never touch an object of
    /// somebody else: server-side apply would take over whatever has the name.
    async fn write_one(&self, job_id: &JobId, order: &Order<'_>) -> Result<String, ControlError> {
        let object = &order.object;
        let collection = self.collection(object).await?;
        if order.write == Write::Vacant {
            let existing = self.caller.find::<Head>(&collection, &object.name).await;
            let existing = existing.map_err(|error| self.failed("read", object, &error))?;
            return match existing {
                None => Ok(String::new()),
                Some(existing) => self.adopt(&collection, order, job_id, existing).await,
            };
        }
        let params =
            PostParams { field_manager: Some(self.field_manager.clone()), ..PostParams::default() };
        let body = order.document.to_string().into_bytes();
        let created = Requests::new(&collection).create(&params, body);
        match self.caller.request::<Head>(created).await {
            Ok(head) => {
                self.forget_lookup(object);
                return Ok(head.uid().to_owned());
            }
            Err(CallError::Answered(answer)) if answer.is_already_exists() => {}
            Err(error) => return Err(self.failed("create", object, &error)),
        }
        let existing = self.caller.find::<Head>(&collection, &object.name).await;
        let existing = existing.map_err(|error| self.failed("read", object, &error))?;
        match existing {
            Some(existing) => self.adopt(&collection, order, job_id, existing).await,
            None => Err(about_to_be_free(object)),
        }
    }

    /// What an order makes of an object that has its name already.
    async fn adopt(
        &self,
        collection: &str,
        order: &Order<'_>,
        job_id: &JobId,
        existing: Head,
    ) -> Result<String, ControlError> {
        let object = &order.object;
        if existing.is_being_deleted() {
            return Err(about_to_be_free(object));
        }
        let ours = order.may_adopt(&existing, job_id);
        match order.write {
            Write::Offer | Write::Grow if !ours => {
                tracing::debug!("{object} is somebody's and serves as it is");
            }
            _ if !ours => return Err(ControlError::NameConflict { object: object.clone() }),
            Write::Apply | Write::Offer => {
                self.apply(collection, order, order.document.clone(), existing.uid()).await?;
            }
            Write::Grow => self.grow(collection, order, job_id, existing.uid()).await?,
            Write::Vacant | Write::Create | Write::CreateOrKeep => {}
        }
        Ok(existing.uid().to_owned())
    }

    /// Server-side apply over exactly this object: with its uid in the document the call fails if
    /// it was replaced by another one, and never brings a deleted one back.
    async fn apply(
        &self,
        collection: &str,
        order: &Order<'_>,
        mut document: Value,
        uid: &str,
    ) -> Result<(), ControlError> {
        if let Some(metadata) = document.pointer_mut("/metadata").and_then(Value::as_object_mut) {
            metadata.insert("uid".to_owned(), Value::from(uid));
        }
        let params = PatchParams::apply(&self.field_manager).force();
        let request =
            Requests::new(collection).patch(&order.object.name, &params, &Patch::Apply(&document));
        let applied: Result<Head, CallError> = self.caller.request(request).await;
        applied.map(drop).map_err(|error| self.failed("apply", &order.object, &error))
    }

    /// Adds the clusters of the order to those of the policy that is there. Fails if another host
    /// changed it meanwhile; the next try sees what that one wrote.
    async fn grow(
        &self,
        collection: &str,
        order: &Order<'_>,
        job_id: &JobId,
        uid: &str,
    ) -> Result<(), ControlError> {
        let found = self.mark_needed(collection, &order.object, uid, job_id.as_str()).await?;
        let mut all = named(&found);
        let missing: Vec<String> =
            named(order.document).into_iter().filter(|name| !all.contains(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        all.extend(missing);
        let mut document = order.document.clone();
        if let Some(place) = document.pointer_mut("/spec/placement/clusterAffinity/clusterNames") {
            *place = Value::from(all);
        }
        let version = found.pointer("/metadata/resourceVersion").cloned().unwrap_or_default();
        if let Some(metadata) = document.pointer_mut("/metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), version);
        }
        self.apply(collection, order, document, uid).await
    }

    /// A merge patch of one field, of exactly the object that is meant.
    #[tracing::instrument(
        name = "karmada.set_flag",
        skip_all,
        fields(object = %workload.object, flag = path.join("."), value)
    )]
    pub(crate) async fn set_flag_of(
        &self,
        workload: &WorkloadRef,
        path: &[&str],
        value: bool,
    ) -> Result<bool, ControlError> {
        let object = &workload.object;
        let collection = self.collection(object).await?;
        let mut patch = path.iter().rev().fold(json!(value), |inner, key| json!({ *key: inner }));
        if let (Some(uid), Some(members)) = (&workload.uid, patch.as_object_mut()) {
            members.insert("metadata".to_owned(), json!({ "uid": uid }));
        }
        let params = PatchParams {
            field_manager: Some(self.field_manager.clone()),
            ..PatchParams::default()
        };
        let request =
            Requests::new(&collection).patch(&object.name, &params, &Patch::Merge(&patch));
        match self.caller.request::<Head>(request).await {
            Ok(_) => Ok(true),
            // Gone, or replaced by an object with another uid.
            Err(CallError::Answered(answer)) if answer.is_not_found() => Ok(false),
            Err(CallError::Answered(answer)) if answer.is_other_uid() => Ok(false),
            Err(error) => Err(self.failed("change", object, &error)),
        }
    }

    /// What a failure means; a path that does not exist is not asked for again from memory.
    pub(crate) fn failed(&self, what: &str, object: &ObjectRef, error: &CallError) -> ControlError {
        if error.answer().is_some_and(crate::error::Answer::is_unknown_path) {
            self.forget_plurals(&object.api_version);
        }
        error.control(what, object)
    }
}

/// Not a conflict, whoever owns what is there: the name is about to be free. Not an outage either,
/// so the rest of the queue goes on.
fn about_to_be_free(object: &ObjectRef) -> ControlError {
    let what = format!("a free name for {object} (its predecessor is being deleted)");
    ControlError::Missing { what }
}
