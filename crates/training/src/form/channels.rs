//! The data channels of a form.

use std::collections::BTreeSet;

use super::reader::Fields;
use super::values::{self, Location};
use crate::job::{ChannelType, DataChannel};

/// As many as SageMaker allows.
const MAX_CHANNELS: usize = 20;
/// Wide tables have thousands of columns; the body limit bounds the sum.
const MAX_COLUMNS: usize = 20_000;
const MAX_COLUMN_NAME: usize = 1024;

/// Reads `inputDataConfig`.
pub(super) fn read(form: &Fields<'_>) -> Vec<DataChannel> {
    let mut channels: Vec<DataChannel> = Vec::new();
    for (below, item) in form.list("inputDataConfig", MAX_CHANNELS) {
        let Some(fields) = form.item(&below, item) else { continue };
        let channel = read_channel(&fields);
        if channels.iter().any(|other| other.name == channel.name) {
            fields.mistake(
                "channelName",
                "duplicate",
                format!("Another channel is named `{}`, too.", channel.name),
            );
        }
        channels.push(channel);
    }
    channels
}

fn read_channel(fields: &Fields<'_>) -> DataChannel {
    fields.only(&[
        "id",
        "channelName",
        "sourceType",
        "storageProvider",
        "endpoint",
        "bucket",
        "prefix",
        "uploadFileName",
        "channelType",
        "contentType",
        "csvColumns",
        "featureNames",
        "labelName",
    ]);
    // For the client's own use.
    fields.text("id", 253);
    fields.text("uploadFileName", 1024);
    let written = fields.choice("channelType", &["train", "validation", "test"]);
    let name = fields
        .text("channelName", 64)
        .and_then(|name| fields.parsed("channelName", values::channel_name(name)))
        .unwrap_or_else(|| written.unwrap_or("train").to_owned());
    let channel_type = match written {
        Some("train") => ChannelType::Train,
        Some("validation") => ChannelType::Validation,
        Some("test") => ChannelType::Test,
        _ => type_from_name(&name),
    };
    let provider = fields
        .choice("storageProvider", &["aws", "minio", "gcs", "azure", "custom"])
        .unwrap_or("minio");
    let endpoint = fields
        .text("endpoint", 1024)
        .and_then(|url| fields.parsed("endpoint", values::endpoint(url)))
        .unwrap_or_default();
    let location = match fields.choice("sourceType", &["object-storage", "upload"]) {
        Some("upload") => {
            fields.mistake(
                "sourceType",
                "unsupported",
                "Uploads are not available yet. Put the data into an object store and use \
                 `object-storage`.",
            );
            Location::default()
        }
        _ => read_location(fields),
    };
    let content_type = fields
        .text("contentType", 64)
        .and_then(|word| fields.parsed("contentType", values::content_type(word)));
    let (feature_names, label_name) = read_columns(fields);
    DataChannel {
        name,
        channel_type,
        provider: provider.to_owned(),
        endpoint,
        bucket: location.bucket,
        prefix: location.prefix,
        content_type,
        feature_names,
        label_name,
    }
}

/// Older clients do not send the type, but mostly say it in the name.
fn type_from_name(name: &str) -> ChannelType {
    let name = name.to_ascii_lowercase();
    if name.starts_with("val") || name == "eval" {
        ChannelType::Validation
    } else if name.starts_with("test") {
        ChannelType::Test
    } else {
        ChannelType::Train
    }
}

fn read_location(fields: &Fields<'_>) -> Location {
    let prefix = fields.text("prefix", 1024).unwrap_or_default();
    let Some(bucket) = fields.required_text("bucket", 1024) else { return Location::default() };
    fields.parsed("bucket", values::location(&bucket, &prefix)).unwrap_or_default()
}

fn read_columns(fields: &Fields<'_>) -> (Vec<String>, Option<String>) {
    let columns = fields.texts("csvColumns", MAX_COLUMNS, MAX_COLUMN_NAME);
    let columns: BTreeSet<String> = columns.into_iter().map(|(_, column)| column).collect();
    let unknown = |column: &str| !columns.is_empty() && !columns.contains(column);
    let no_column = |column: &str| format!("`csvColumns` has no column `{column}`.");

    let label = fields.text("labelName", MAX_COLUMN_NAME);
    if let Some(label) = label.as_deref().filter(|label| unknown(label)) {
        fields.mistake("labelName", "unknown-column", no_column(label));
    }
    let mut seen = BTreeSet::new();
    let mut features = Vec::new();
    for (below, feature) in fields.texts("featureNames", MAX_COLUMNS, MAX_COLUMN_NAME) {
        if unknown(&feature) {
            fields.mistake(&below, "unknown-column", no_column(&feature));
        } else if label.as_ref() == Some(&feature) {
            fields.mistake(&below, "conflict", format!("`{feature}` is the label."));
        } else if !seen.insert(feature.clone()) {
            fields.mistake(&below, "duplicate", format!("`{feature}` is listed twice."));
        } else {
            features.push(feature);
        }
    }
    (features, label)
}
