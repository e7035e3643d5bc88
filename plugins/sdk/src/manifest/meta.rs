//! What every object starts with.

use serde::{Serialize, Serializer};

/// Labels, annotations or a selector: few pairs, in a fixed order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pairs<'a>(pub &'a [(&'a str, &'a str)]);

impl Pairs<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// `metadata` of a namespaced object.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Metadata<'a> {
    /// Unique among objects of its kind in the namespace.
    pub name: &'a str,
    /// Where it lives.
    pub namespace: &'a str,
    /// For selectors.
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub labels: Pairs<'a>,
    /// For people and tools.
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub annotations: Pairs<'a>,
}

/// `metadata` of a pod template: it has no name of its own.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct TemplateMetadata<'a> {
    /// For selectors.
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub labels: Pairs<'a>,
    /// For people and tools.
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub annotations: Pairs<'a>,
}
