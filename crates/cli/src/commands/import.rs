//! Documents of other platforms.

use api_types::{ImportView, JobView};

use super::{JOBS, random_key, read, show_new, submit_to, typed};
use crate::args::{ImportCommand, Output};
use crate::client::{Client, Failure, segment};
use crate::printer;

/// Prints the form, which `trainyard submit -f -` takes, and says on stderr what it lacks; or
/// submits it.
pub(super) async fn run(
    client: &Client,
    output: Output,
    command: &ImportCommand,
) -> Result<(), Failure> {
    let ImportCommand::Sagemaker { file, algorithm, submit } = command;
    let query =
        algorithm.as_ref().map_or_else(String::new, |name| format!("?algorithm={}", segment(name)));
    let path = format!("/api/v1/import/sagemaker{query}");
    let answer = client.post(&path, read(file)?, None).await?;
    let found: ImportView = typed(&answer)?;
    let whole = output == Output::Json && !submit;
    if !whole {
        for part in &found.unmapped {
            printer::remark(&format!("not mapped: {}: {}", part.pointer, part.reason));
        }
        for warning in &found.warnings {
            printer::remark(&format!("warning: {warning}"));
        }
    }
    if whole {
        printer::json(&answer);
    } else if !submit {
        printer::json(&found.form);
    }
    if !found.errors.is_empty() {
        for error in &found.errors {
            printer::remark(&format!("wrong: {}: {}", error.pointer, error.detail));
        }
        let count = found.errors.len();
        let text = format!("the form cannot be submitted as it is: {count} wrong");
        return Err(Failure::Input(text));
    }
    if *submit {
        let answer = submit_to(client, JOBS, &found.form.to_string(), &random_key()).await?;
        let job: JobView = typed(&answer)?;
        show_new(output, &answer, &job);
    }
    Ok(())
}
