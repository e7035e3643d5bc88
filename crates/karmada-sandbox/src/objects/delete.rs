//! The end of an object: preconditions, grace periods, finalizers. Called by `server` for requests
//! and by the controllers.

use std::sync::Arc;

use serde_json::Value;

use super::{Api, Key, Res, compare::same};
use crate::{
    admission, clock,
    json::{self as js, is_terminating, meta, text},
    status::{ApiError, ApiResult},
};

/// The relevant part of `DeleteOptions`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Delete {
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) policy: Option<String>,
    pub(crate) grace_seconds: Option<i64>,
    pub(crate) dry_run: bool,
}

/// What a delete left behind.
#[derive(Debug)]
pub(crate) enum Deleted {
    Gone(Arc<Value>),
    Terminating(Arc<Value>),
}

impl Api {
    pub(crate) fn delete(&mut self, key: &Key, options: &Delete) -> ApiResult<Deleted> {
        let old = self.require(key)?;
        if let Some(wanted) = &options.uid
            && wanted != meta(&old, "uid")
        {
            return Err(ApiError::uid_mismatch(key.res, &key.name, wanted, meta(&old, "uid")));
        }
        if let Some(wanted) = &options.resource_version
            && wanted != meta(&old, "resourceVersion")
        {
            let why = format!(
                "Precondition failed: ResourceVersion in precondition: {wanted}, ResourceVersion \
                 in object meta: {}",
                meta(&old, "resourceVersion")
            );
            return Err(ApiError::conflict(key.res, &key.name, &why));
        }
        if self.is_control_plane() {
            admission::validate_delete(key.res, &old)?;
        }
        if options.dry_run {
            return Ok(Deleted::Gone(old));
        }
        let mut new = Value::clone(&old);
        match options.policy.as_deref() {
            Some("Foreground") => js::add_finalizer(&mut new, "foregroundDeletion"),
            Some("Orphan") => js::add_finalizer(&mut new, "orphan"),
            _ => {}
        }
        let grace = grace_seconds(key.res, &old, options);
        if js::finalizers(&new).is_empty() && !waits(key.res, &new) && grace == 0 {
            let last = self.take(key).unwrap_or(old);
            return Ok(Deleted::Gone(last));
        }
        if !is_terminating(&old) {
            js::set(&mut new, &["metadata", "deletionTimestamp"], clock::stamp(self.now));
            js::set(&mut new, &["metadata", "deletionGracePeriodSeconds"], grace);
            if key.res.generation {
                let next = js::int(&old, "/metadata/generation").unwrap_or_default() + 1;
                js::set(&mut new, &["metadata", "generation"], next);
            }
            if key.res.plural == "namespaces" {
                js::set(&mut new, &["status", "phase"], "Terminating");
            }
        } else if same(&old, &new) {
            return Ok(Deleted::Terminating(old));
        }
        Ok(Deleted::Terminating(self.put(key.clone(), new)))
    }

    /// A controller's delete in the background. An absent object is fine.
    pub(crate) fn discard(&mut self, key: &Key) {
        let _ = self.delete(key, &Delete::default());
    }

    /// Ends the existence of an object whose last guard (grace period, namespace contents) is
    /// gone. Finalizers still hold it.
    pub(crate) fn finish_deletion(&mut self, key: &Key) {
        if self.get(key).is_some_and(|object| js::finalizers(object).is_empty()) {
            self.take(key);
        }
    }
}

/// Things besides finalizers that keep a terminating object: a namespace its content, a pod on a
/// node its containers.
pub(super) fn waits(res: Res, object: &Value) -> bool {
    match res.plural {
        "namespaces" => true,
        "pods" => {
            is_terminating(object)
                && js::int(object, "/metadata/deletionGracePeriodSeconds").unwrap_or_default() > 0
        }
        _ => false,
    }
}

fn grace_seconds(res: Res, object: &Value, options: &Delete) -> i64 {
    let ended = matches!(text(object, "/status/phase"), "Succeeded" | "Failed");
    if res.plural != "pods" || ended || text(object, "/spec/nodeName").is_empty() {
        return 0;
    }
    let wanted = js::int(object, "/spec/terminationGracePeriodSeconds");
    options.grace_seconds.or(wanted).unwrap_or(30).max(0)
}
