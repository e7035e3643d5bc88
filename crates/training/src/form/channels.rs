//! The data channels of a form.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::Value;

use super::reader::Fields;
use super::typing::Schema;
use super::values::{self, Location};
use crate::job::{ChannelType, DataChannel, DataSource};

/// As many as SageMaker allows.
const MAX_CHANNELS: usize = 20;
/// Wide tables have thousands of columns; the body limit bounds the sum.
const MAX_COLUMNS: usize = 20_000;
const MAX_COLUMN_NAME: usize = 1024;
/// As long as the addresses that common servers take.
const MAX_URL: usize = 2048;
/// Fields that say where the data lies, by source. Each belongs to its own source alone.
const PLACES: [(&str, &[&str]); 3] = [
    ("object-storage", &["storageProvider", "endpoint", "bucket", "prefix"]),
    ("pvc", &["pvcName", "path"]),
    ("http", &["url"]),
];

/// Reads `inputDataConfig`. `schema` is that of the algorithm's parameters, which says what its
/// plugin can read.
pub(super) fn read(form: &Fields<'_>, schema: Option<&Schema>) -> Vec<DataChannel> {
    // Its mistakes are told where it stands.
    let own_claim = form.value("pvcName").and_then(Value::as_str).filter(|name| !name.is_empty());
    let mut channels: Vec<DataChannel> = Vec::new();
    for (below, item) in form.list("inputDataConfig", MAX_CHANNELS) {
        let Some(fields) = form.item(&below, item) else { continue };
        let channel = read_channel(&fields, own_claim);
        let source = channel.source.as_str();
        if schema.is_some_and(|schema| !schema.reads(source)) {
            fields.mistake(
                if fields.value("sourceType").is_some() { "sourceType" } else { "" },
                "unsupported",
                format!("This algorithm reads no data from `{source}`; use `object-storage`."),
            );
        }
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

fn read_channel(fields: &Fields<'_>, own_claim: Option<&str>) -> DataChannel {
    fields.only(&[
        "id",
        "channelName",
        "sourceType",
        "storageProvider",
        "endpoint",
        "bucket",
        "prefix",
        "pvcName",
        "path",
        "url",
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
    let source = read_source(fields, own_claim);
    let content_type = fields
        .text("contentType", 64)
        .and_then(|word| fields.parsed("contentType", values::content_type(word)));
    let (feature_names, label_name) = read_columns(fields);
    DataChannel { name, channel_type, source, content_type, feature_names, label_name }
}

/// Where the data lies: as `sourceType` says, or else as the fields say that only one source has.
fn read_source(fields: &Fields<'_>, own_claim: Option<&str>) -> DataSource {
    let sources = ["object-storage", "upload", "pvc", "http"];
    let is_given = |member: &str| fields.value(member).is_some_and(|value| *value != *"");
    let told = ["pvc", "http"].into_iter().find(|source| {
        let places = PLACES.iter().filter(|(name, _)| name == source);
        places.flat_map(|(_, members)| *members).any(|member| is_given(member))
    });
    let chosen = fields.choice("sourceType", &sources);
    let source = chosen.or(told).unwrap_or("object-storage");
    if source == "upload" {
        fields.mistake(
            "sourceType",
            "unsupported",
            "Uploads are not available yet. Put the data into an object store and use \
             `object-storage`.",
        );
    }
    for (other, members) in PLACES.iter().filter(|(other, _)| *other != source) {
        // What an upload has beside its file never meant anything.
        for member in members.iter().filter(|member| source != "upload" && is_given(member)) {
            let detail = format!("`{member}` belongs to `{other}`, and the source is `{source}`.");
            fields.mistake(member, "conflict", detail);
        }
    }
    match source {
        "pvc" => read_volume(fields, own_claim),
        "http" => {
            let url = fields.required_text("url", MAX_URL);
            let url = url.and_then(|url| fields.parsed("url", values::data_url(url)));
            DataSource::Web { url: url.unwrap_or_default() }
        }
        _ => read_object_storage(fields, source == "upload"),
    }
}

fn read_object_storage(fields: &Fields<'_>, is_upload: bool) -> DataSource {
    let provider = fields
        .choice("storageProvider", &["aws", "minio", "gcs", "azure", "custom"])
        .unwrap_or("minio");
    let endpoint = fields
        .text("endpoint", 1024)
        .and_then(|url| fields.parsed("endpoint", values::endpoint(url)))
        .unwrap_or_default();
    let Location { bucket, prefix } =
        if is_upload { Location::default() } else { read_location(fields) };
    DataSource::ObjectStorage { provider: provider.to_owned(), endpoint, bucket, prefix }
}

/// A claim of the channel's own, or that of the job.
fn read_volume(fields: &Fields<'_>, own_claim: Option<&str>) -> DataSource {
    let claim = fields
        .text("pvcName", 253)
        .and_then(|name| fields.parsed("pvcName", values::dns_label(name)));
    if claim.is_none() && own_claim.is_none() && fields.value("pvcName").is_none_or(|it| *it == *"")
    {
        let detail = "`pvcName` is required, here or in the form itself: the claim of the volume \
                      that holds the data.";
        fields.mistake("pvcName", "required", detail);
    }
    let path = fields
        .text("path", 1024)
        .and_then(|path| fields.parsed("path", values::volume_path(&path)))
        .unwrap_or_default();
    let claim = claim.or(own_claim.map(str::to_owned)).unwrap_or_default();
    DataSource::Volume { claim, path }
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
