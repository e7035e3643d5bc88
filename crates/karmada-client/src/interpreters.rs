//! `ResourceInterpreterCustomization`: how Karmada reads a kind.

use kube::api::PostParams;
use kube::core::request::Request as Requests;
use serde::de::IgnoredAny;
use serde_json::Value;
use training::manifest::ObjectRef;
use training::ports::ControlError;

use crate::KarmadaClient;
use crate::resolve::is_segment;

const COLLECTION: &str = "/apis/config.karmada.io/v1alpha1/resourceinterpretercustomizations";

/// For messages; it has no namespace.
fn named(name: &str) -> Result<ObjectRef, ControlError> {
    let object = ObjectRef {
        api_version: "config.karmada.io/v1alpha1".to_owned(),
        kind: "ResourceInterpreterCustomization".to_owned(),
        namespace: String::new(),
        name: name.to_owned(),
    };
    if is_segment(name) {
        return Ok(object);
    }
    Err(ControlError::Refused { object, message: "it cannot be part of an address".to_owned() })
}

impl KarmadaClient {
    #[tracing::instrument(name = "karmada.interpreter", skip(self))]
    pub(crate) async fn interpreter_of(&self, name: &str) -> Result<Option<Value>, ControlError> {
        let object = named(name)?;
        let found = self.caller.find::<Value>(COLLECTION, name).await;
        found.map_err(|error| error.control("read", &object))
    }

    #[tracing::instrument(name = "karmada.install_interpreter", skip(self, document))]
    pub(crate) async fn install_interpreter_of(
        &self,
        name: &str,
        document: &Value,
    ) -> Result<(), ControlError> {
        let object = named(name)?;
        let found = self.interpreter_of(name).await?;
        let params =
            PostParams { field_manager: Some(self.field_manager.clone()), ..PostParams::default() };
        let requests = Requests::new(COLLECTION);
        // Replaced as a whole: an apply would leave the scripts that the document does not have. The
        // version makes it fail if somebody changed what was shown.
        let request = match found {
            None => requests.create(&params, document.to_string().into_bytes()),
            Some(found) => {
                let mut document = document.clone();
                let version = found.pointer("/metadata/resourceVersion").cloned();
                if let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut)
                {
                    metadata.insert("resourceVersion".to_owned(), version.unwrap_or_default());
                }
                requests.replace(name, &params, document.to_string().into_bytes())
            }
        };
        let written: Result<IgnoredAny, _> = self.caller.request(request).await;
        written.map(drop).map_err(|error| error.control("install", &object))
    }
}
