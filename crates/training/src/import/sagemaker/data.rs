//! Where data comes from and where results go.

use serde_json::{Map, Value};

use super::{Import, set};
use crate::form::reader::Fields;

/// As many as SageMaker allows.
const MOST_CHANNELS: usize = 20;

/// Why a way of reading data is not kept.
pub(super) fn mode_reason(mode: &str) -> String {
    format!("Programs read the object store themselves; nothing arrives by `{mode}`.")
}

/// Reads `InputDataConfig`.
pub(super) fn read_channels(document: &Fields<'_>, import: &mut Import<'_>) {
    let mut channels = Vec::new();
    for (below, item) in document.list("InputDataConfig", MOST_CHANNELS) {
        let Some(fields) = document.item(&below, item) else { continue };
        channels.extend(read_channel(&fields, &format!("/{below}"), import).map(Value::Object));
    }
    if !channels.is_empty() {
        import.set(&["inputDataConfig"], channels);
    }
}

/// `None` if the form cannot say where its data is.
fn read_channel(
    fields: &Fields<'_>,
    at: &str,
    import: &mut Import<'_>,
) -> Option<Map<String, Value>> {
    let mut channel = Map::new();
    let mut put = |member, value: String| set(&mut channel, &[member], value.into());
    if let Some(name) = fields.text("ChannelName", 64) {
        put("channelName", name);
    }
    if let Some(content) = fields.text("ContentType", 256) {
        let plain = content.split(';').next().unwrap_or_default().trim().to_owned();
        if plain != content {
            let reason = format!("Only `{plain}` is kept; a form has no parameters beside it.");
            import.report(format!("{at}/ContentType"), reason);
        }
        put("contentType", plain);
    }
    if let Some(mode) = fields.text("InputMode", 32)
        && mode != "File"
    {
        import.report(format!("{at}/InputMode"), mode_reason(&mode));
    }
    for (member, without) in [("CompressionType", "None"), ("RecordWrapperType", "None")] {
        if fields.text(member, 32).is_some_and(|kind| kind != without) {
            let reason = "Programs read the objects as they are.";
            import.report(format!("{at}/{member}"), reason);
        }
    }
    let reason = "The program decides in which order it reads.";
    import.report_member(fields, at, "ShuffleConfig", reason);
    import.report_others(
        fields,
        at,
        &[
            "ChannelName",
            "ContentType",
            "InputMode",
            "CompressionType",
            "RecordWrapperType",
            "ShuffleConfig",
            "DataSource",
        ],
    );

    let source = fields.object("DataSource");
    let at = format!("{at}/DataSource");
    let store = source.as_ref().and_then(|source| source.object("S3DataSource"));
    if let Some(source) = &source {
        let reason = "Data comes from an object store, so the channel is left out. Copy it there, \
                      or mount it with `pvcName`.";
        import.report_member(source, &at, "FileSystemDataSource", reason);
        let known = ["S3DataSource", "FileSystemDataSource"];
        import.report_others(source, &at, &known);
    }
    let (store, at) = (store?, format!("{at}/S3DataSource"));
    for (member, usual, reason) in [
        ("S3DataType", "S3Prefix", "A manifest is read as any other object."),
        (
            "S3DataDistributionType",
            "FullyReplicated",
            "Every instance sees all data; the program takes its share.",
        ),
    ] {
        if store.text(member, 64).is_some_and(|kind| kind != usual) {
            import.report(format!("{at}/{member}"), reason);
        }
    }
    let known = ["S3Uri", "S3DataType", "S3DataDistributionType"];
    import.report_others(&store, &at, &known);
    let uri = store.required_text("S3Uri", 1024)?;
    let Some(path) = uri.strip_prefix("s3://") else {
        let detail = "It must be a URI like `s3://bucket/prefix/`.";
        store.mistake("S3Uri", "invalid-value", detail);
        return None;
    };
    let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
    set(&mut channel, &["sourceType"], "object-storage".into());
    set(&mut channel, &["storageProvider"], "aws".into());
    set(&mut channel, &["bucket"], bucket.into());
    set(&mut channel, &["prefix"], prefix.into());
    Some(channel)
}

/// Reads `OutputDataConfig`.
pub(super) fn read_output(document: &Fields<'_>, import: &mut Import<'_>) {
    let Some(output) = document.object("OutputDataConfig") else { return };
    let at = "/OutputDataConfig";
    if let Some(uri) = output.text("S3OutputPath", 1024) {
        import.set(&["outputDataConfig", "artifactUri"], uri);
    }
    let reason = "Encryption belongs to the bucket.";
    import.report_member(&output, at, "KmsKeyId", reason);
    if output.text("CompressionType", 32).is_some_and(|kind| kind == "GZIP") {
        let reason = "The program writes its results as they are.";
        import.report(format!("{at}/CompressionType"), reason);
    }
    import.report_others(&output, at, &["S3OutputPath", "KmsKeyId", "CompressionType"]);
}
