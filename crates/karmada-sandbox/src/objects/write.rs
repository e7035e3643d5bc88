//! Every way an object comes and changes: create, replace, patch, apply. Holds the rules of the API
//! server (names, preconditions, generations, finalizers, subresources); what Karmada's webhook
//! adds is in `admission`. Called by `server` for requests and by the controllers.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Api, Key, Res,
    compare::{same, spec_differs},
    delete::waits,
    fields, patch,
};
use crate::json::Tree as _;
use crate::{
    admission, clock,
    json::{self as js, is_terminating, meta, text},
    karmada::interpreter,
    status::{ApiError, ApiResult},
};

/// Who writes, and how.
#[derive(Debug, Clone, Default)]
pub(crate) struct Write<'a> {
    /// Recorded in `managedFields`; empty leaves them alone (controllers whose fields no other
    /// manager touches).
    pub(crate) manager: &'a str,
    pub(crate) force: bool,
    pub(crate) dry_run: bool,
    /// Through `/status`.
    pub(crate) status: bool,
}

/// The body formats of PATCH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl Api {
    pub(crate) fn create(
        &mut self,
        res: Res,
        namespace: &str,
        mut object: Value,
        write: &Write<'_>,
    ) -> ApiResult<Arc<Value>> {
        check_identity(res, namespace, None, &object)?;
        let mut name = meta(&object, "name").to_owned();
        let prefix = meta(&object, "generateName").to_owned();
        if name.is_empty() && !prefix.is_empty() {
            name = format!("{prefix}{}", self.ids.suffix());
            js::set(&mut object, &["metadata", "name"], name.as_str());
        }
        if name.is_empty() {
            return Err(ApiError::invalid(
                res,
                "",
                "metadata.name",
                "Required value: name or generateName is required",
            ));
        }
        if res.namespaced {
            js::set(&mut object, &["metadata", "namespace"], namespace);
            self.check_namespace(res, namespace, &name)?;
        }
        let key = Key::new(res, namespace, &name);
        if self.get(&key).is_some() {
            return Err(ApiError::already_exists(res, &name));
        }
        js::set(&mut object, &["apiVersion"], res.api_version());
        js::set(&mut object, &["kind"], res.kind);
        admission::check_metadata(res, &object)?;
        admission::check_selector(res, &object)?;
        for field in
            ["resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"]
        {
            js::remove(&mut object, &["metadata", field]);
        }
        if res.status {
            js::remove(&mut object, &["status"]);
        }
        self.hooks.admit(res, &mut object)?;
        let uid = self.ids.uid();
        admission::default_fields(res, &mut object, &uid, self.now);
        if self.is_control_plane() {
            if self.webhook_down && admission::has_webhook(res) {
                return Err(admission::webhook_unreachable(res));
            }
            admission::mutate(res, &mut object, &mut self.ids);
            admission::validate(res, None, &object)?;
            interpreter::admit(self, res, &object)?;
        }
        js::set(&mut object, &["metadata", "uid"], uid);
        js::set(&mut object, &["metadata", "creationTimestamp"], clock::stamp(self.now));
        if res.generation {
            js::set(&mut object, &["metadata", "generation"], 1);
        }
        if !write.manager.is_empty() && js::list(&object, "/metadata/managedFields").is_empty() {
            let (manager, now) = (write.manager, self.now);
            fields::record_update(None, &mut object, res, false, manager, now);
        }
        if write.dry_run {
            return Ok(Arc::new(object));
        }
        Ok(self.put(key, object))
    }

    fn check_namespace(&self, res: Res, namespace: &str, name: &str) -> ApiResult<()> {
        let Some(found) = self.find(&super::resources::NAMESPACE, "", namespace) else {
            return Err(ApiError::not_found(&super::resources::NAMESPACE, namespace));
        };
        if is_terminating(found) && !res.control_only {
            let why = format!(
                "unable to create new content in namespace {namespace} because it is being \
                 terminated"
            );
            return Err(ApiError::forbidden(res, name, &why));
        }
        Ok(())
    }

    pub(super) fn require(&self, key: &Key) -> ApiResult<Arc<Value>> {
        self.get(key).cloned().ok_or_else(|| ApiError::not_found(key.res, &key.name))
    }

    /// PUT.
    pub(crate) fn replace(
        &mut self,
        key: &Key,
        new: Value,
        write: &Write<'_>,
    ) -> ApiResult<Arc<Value>> {
        check_identity(key.res, &key.namespace, Some(&key.name), &new)?;
        let old = self.require(key)?;
        if key.res.custom && meta(&new, "resourceVersion").is_empty() {
            return Err(ApiError::invalid(
                key.res,
                &key.name,
                "metadata.resourceVersion",
                "Invalid value: 0: must be specified for an update",
            ));
        }
        self.swap(key, &old, new, write, true)
    }

    /// PATCH. The flag says whether the object was created by it.
    pub(crate) fn patch(
        &mut self,
        key: &Key,
        kind: PatchKind,
        body: Value,
        write: &Write<'_>,
    ) -> ApiResult<(Arc<Value>, bool)> {
        if kind == PatchKind::Apply {
            return self.apply(key, &body, write);
        }
        let old = self.require(key)?;
        let mut new = Value::clone(&old);
        match kind {
            PatchKind::Json => patch::json(&mut new, body)?,
            PatchKind::Strategic if !key.res.custom => patch::strategic(&mut new, &body),
            PatchKind::Strategic => {
                return Err(ApiError::unsupported_media(
                    "application/json-patch+json, application/merge-patch+json, \
                     application/apply-patch+yaml",
                ));
            }
            _ => patch::merge(&mut new, &body),
        }
        check_identity(key.res, &key.namespace, Some(&key.name), &new)?;
        self.swap(key, &old, new, write, true).map(|object| (object, false))
    }

    fn apply(
        &mut self,
        key: &Key,
        body: &Value,
        write: &Write<'_>,
    ) -> ApiResult<(Arc<Value>, bool)> {
        if write.manager.is_empty() {
            return Err(ApiError::new(
                422,
                "Invalid",
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is \
                 required for apply patch",
            ));
        }
        check_identity(key.res, &key.namespace, Some(&key.name), body)?;
        if !js::list(body, "/metadata/managedFields").is_empty() {
            return Err(ApiError::bad_request("metadata.managedFields must be nil"));
        }
        admission::check_schema(key, body)?;
        let blank;
        let (live, exists) = match self.get(key) {
            Some(found) => (Arc::clone(found), true),
            None if write.status => return Err(ApiError::not_found(key.res, &key.name)),
            None => {
                let wanted = meta(body, "uid");
                if !wanted.is_empty() {
                    return Err(ApiError::uid_mismatch(key.res, &key.name, wanted, ""));
                }
                blank = json!({ "metadata": { "name": key.name } });
                (Arc::new(blank), false)
            }
        };
        for field in ["uid", "resourceVersion"] {
            let (wanted, found) = (meta(body, field), meta(&live, field));
            if exists && !wanted.is_empty() && wanted != found {
                return Err(match field {
                    "uid" => ApiError::uid_mismatch(key.res, &key.name, wanted, found),
                    _ => ApiError::stale(key.res, &key.name),
                });
            }
        }
        let request = fields::Apply {
            res: key.res,
            applied: body,
            status: write.status,
            manager: write.manager,
            force: write.force,
            now: self.now,
        };
        let mut merged = fields::apply(&live, &request)
            .map_err(|conflicts| ApiError::field_conflicts(&conflicts))?;
        if exists {
            return self.swap(key, &live, merged, write, false).map(|object| (object, false));
        }
        js::set(&mut merged, &["metadata", "name"], key.name.as_str());
        self.create(key.res, &key.namespace, merged, write).map(|object| (object, true))
    }

    /// Puts `new` in the place of `old`, under all rules of an update.
    fn swap(
        &mut self,
        key: &Key,
        old: &Arc<Value>,
        mut new: Value,
        write: &Write<'_>,
        record: bool,
    ) -> ApiResult<Arc<Value>> {
        let res = key.res;
        let (wanted, found) = (meta(&new, "uid"), meta(old, "uid"));
        if !wanted.is_empty() && wanted != found {
            return Err(ApiError::uid_mismatch(res, &key.name, wanted, found));
        }
        let wanted = meta(&new, "resourceVersion");
        if !wanted.is_empty() && wanted != meta(old, "resourceVersion") {
            return Err(ApiError::stale(res, &key.name));
        }
        if write.status {
            let mut kept = Value::clone(old);
            match new.get("status") {
                Some(status) => js::set(&mut kept, &["status"], status.clone()),
                None => drop(js::remove(&mut kept, &["status"])),
            }
            if let Some(managed) = new.at(&["metadata"]).get("managedFields") {
                js::set(&mut kept, &["metadata", "managedFields"], managed.clone());
            }
            new = kept;
        } else {
            if res.status {
                match old.get("status") {
                    Some(status) => js::set(&mut new, &["status"], status.clone()),
                    None => drop(js::remove(&mut new, &["status"])),
                }
            }
            for field in [
                "name",
                "namespace",
                "uid",
                "resourceVersion",
                "creationTimestamp",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
                "generation",
                "generateName",
            ] {
                match old.at(&["metadata"]).get(field) {
                    Some(value) => js::set(&mut new, &["metadata", field], value.clone()),
                    None => drop(js::remove(&mut new, &["metadata", field])),
                }
            }
            if record
                && new.at(&["metadata"]).get("managedFields").is_none()
                && let Some(managed) = old.at(&["metadata"]).get("managedFields")
            {
                js::set(&mut new, &["metadata", "managedFields"], managed.clone());
            }
            js::set(&mut new, &["apiVersion"], res.api_version());
            js::set(&mut new, &["kind"], res.kind);
            admission::check_metadata(res, &new)?;
            admission::check_selector(res, &new)?;
            if is_terminating(old) {
                let before = js::finalizers(old);
                if js::finalizers(&new).iter().any(|one| !before.contains(one)) {
                    return Err(ApiError::invalid(
                        res,
                        &key.name,
                        "metadata.finalizers",
                        "Forbidden: no new finalizers can be added if the object is being deleted",
                    ));
                }
            }
            admission::normalise(res, &mut new);
            if self.is_control_plane() && !write.manager.is_empty() {
                if self.webhook_down && admission::has_webhook(res) {
                    return Err(admission::webhook_unreachable(res));
                }
                admission::mutate_update(res, &mut new);
                admission::validate(res, Some(old), &new)?;
                interpreter::admit(self, res, &new)?;
            }
        }
        if same(old, &new) {
            return Ok(Arc::clone(old));
        }
        if res.generation && !write.status && spec_differs(old, &new) {
            let next = js::int(old, "/metadata/generation").unwrap_or_default() + 1;
            js::set(&mut new, &["metadata", "generation"], next);
        }
        if record && !write.manager.is_empty() {
            let (manager, now) = (write.manager, self.now);
            fields::record_update(Some(old), &mut new, res, write.status, manager, now);
        }
        if write.dry_run {
            return Ok(Arc::new(new));
        }
        if is_terminating(&new) && js::finalizers(&new).is_empty() && !waits(res, &new) {
            let last = Arc::new(new);
            self.take(key);
            return Ok(last);
        }
        Ok(self.put(key.clone(), new))
    }

    /// A controller's write of any part of an object. Returns whether anything changed.
    pub(crate) fn edit(&mut self, key: &Key, change: impl FnOnce(&mut Value)) -> bool {
        self.edit_as("", key, change)
    }

    /// [`Self::edit`], recorded under a field manager.
    pub(crate) fn edit_as(
        &mut self,
        manager: &str,
        key: &Key,
        change: impl FnOnce(&mut Value),
    ) -> bool {
        let Some(old) = self.get(key).cloned() else { return false };
        let mut new = Value::clone(&old);
        change(&mut new);
        if same(&old, &new) {
            return false;
        }
        if key.res.generation && spec_differs(&old, &new) {
            let next = js::int(&old, "/metadata/generation").unwrap_or_default() + 1;
            js::set(&mut new, &["metadata", "generation"], next);
        }
        if !manager.is_empty() {
            let now = self.now;
            let status = key.res.status && old.get("status") != new.get("status");
            fields::record_update(Some(&old), &mut new, key.res, status, manager, now);
        }
        if is_terminating(&new) && js::finalizers(&new).is_empty() && !waits(key.res, &new) {
            self.take(key);
        } else {
            self.put(key.clone(), new);
        }
        true
    }

    /// A controller's create; an existing object is left alone.
    pub(crate) fn ensure(&mut self, res: Res, namespace: &str, object: Value) -> bool {
        self.try_ensure(res, namespace, object).unwrap_or(false)
    }

    /// [`Self::ensure`] for controllers that complain when they may not create. Says whether it
    /// did.
    pub(crate) fn try_ensure(
        &mut self,
        res: Res,
        namespace: &str,
        object: Value,
    ) -> ApiResult<bool> {
        let key = Key::new(res, namespace, meta(&object, "name"));
        if self.get(&key).is_some() {
            return Ok(false);
        }
        self.create(res, namespace, object, &Write::default()).map(|_| true)
    }
}

fn check_identity(res: Res, namespace: &str, name: Option<&str>, object: &Value) -> ApiResult<()> {
    if !object.is_object() {
        return Err(ApiError::bad_request(
            "the object provided is unrecognized (must be an object)",
        ));
    }
    let (version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
    let expected = res.api_version();
    if (!version.is_empty() && version != expected) || (!kind.is_empty() && kind != res.kind) {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({version}/{kind}) does not match the expected API \
             version ({expected}/{})",
            res.kind
        )));
    }
    let stated = meta(object, "namespace");
    if res.namespaced && !stated.is_empty() && stated != namespace {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let stated = meta(object, "name");
    match name {
        Some(name) if !stated.is_empty() && stated != name => Err(ApiError::bad_request(format!(
            "the name of the object ({stated}) does not match the name on the URL ({name})"
        ))),
        _ => Ok(()),
    }
}
