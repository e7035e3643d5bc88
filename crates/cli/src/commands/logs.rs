//! `trainyard logs`: prints lines as they come, and goes on where a connection broke.

use api_types::{LogLineView, LogNoteView};
use serde_json::Value;

use super::{PAUSE, job_path, typed};
use crate::args::{Logs, Output};
use crate::client::{Client, Failure, segment};
use crate::printer;
use crate::sse::{Event, Reader};

/// How often a broken stream is opened again without a single new line.
const TRIES: u32 = 10;

/// How far the logs were read.
#[derive(Default)]
struct Progress {
    /// Leads on after the last line that came with an id.
    last_id: Option<String>,
    /// Lines since then. The host sends them again, and they are not printed twice.
    since_id: Vec<LogLineView>,
    /// Those of them that were not sent again yet.
    repeated: Vec<LogLineView>,
    lines: u64,
    connected: bool,
    ended: bool,
    /// Nobody reads our output any more.
    unread: bool,
}

pub(super) async fn run(client: &Client, output: Output, logs: &Logs) -> Result<(), Failure> {
    let path = path(logs);
    let mut progress = Progress::default();
    let mut tries = 0;
    loop {
        let before = progress.lines;
        let failure = match read(client, &path, output, logs, &mut progress).await {
            Ok(()) if progress.ended || progress.unread => return Ok(()),
            Ok(()) => Failure::Transport("the host ended the stream".to_owned()),
            Err(failure) => failure,
        };
        let temporary = match &failure {
            Failure::Transport(_) => true,
            Failure::Problem(problem) => problem.status >= 500,
            Failure::Input(_) | Failure::Job(_) => false,
        };
        tries = if progress.lines > before { 0 } else { tries + 1 };
        // What never worked is told at once.
        if !temporary || !progress.connected || tries == TRIES {
            return Err(failure);
        }
        printer::talk("the stream of logs broke, going on");
        tokio::time::sleep(PAUSE).await;
    }
}

fn path(logs: &Logs) -> String {
    let mut path = format!("{}/logs?format=sse", job_path(&logs.id));
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            path = format!("{path}&{name}={}", segment(&value));
        }
    };
    add("follow", logs.follow.then(|| "true".to_owned()));
    add("previous", logs.previous.then(|| "true".to_owned()));
    add("tail", logs.tail.map(|tail| tail.to_string()));
    add("since", logs.since.clone());
    add("container", logs.container.clone());
    add("role", logs.role.clone());
    add("replica", logs.replica.clone());
    path
}

async fn read(
    client: &Client,
    path: &str,
    output: Output,
    logs: &Logs,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let mut stream = client.stream(path, progress.last_id.as_deref()).await?;
    progress.connected = true;
    progress.repeated.clone_from(&progress.since_id);
    let mut reader = Reader::default();
    while let Some(piece) = stream.next().await? {
        let mut events = Vec::new();
        let fine = reader.push(&piece, |event| events.push(event));
        for event in events {
            show(&event, output, logs.timestamps, progress)?;
        }
        if progress.ended || progress.unread {
            return Ok(());
        }
        if !fine {
            return Err(Failure::Transport("the host does not send events".to_owned()));
        }
    }
    Ok(())
}

fn show(
    event: &Event,
    output: Output,
    timestamps: bool,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let value: Value = serde_json::from_str(&event.data)
        .map_err(|_| Failure::Transport("the host sent an event that is no JSON".to_owned()))?;
    match event.name.as_str() {
        "line" => {
            let line: LogLineView = typed(&value)?;
            if let Some(at) = progress.repeated.iter().position(|known| *known == line) {
                progress.repeated.remove(at);
                return Ok(());
            }
            let text =
                if output == Output::Json { value.to_string() } else { text(&line, timestamps) };
            progress.unread |= !printer::data(&text);
            progress.lines += 1;
            if event.id.is_some() {
                progress.last_id.clone_from(&event.id);
                progress.since_id.clear();
            } else {
                progress.since_id.push(line);
            }
        }
        "note" | "error" => {
            let note: LogNoteView = typed(&value)?;
            let about = match (&note.role, &note.pod) {
                (Some(role), Some(pod)) => format!("{role}/{pod}: "),
                _ => String::new(),
            };
            printer::remark(&format!("{about}{}", note.message));
        }
        "end" => progress.ended = true,
        // A newer host may say more.
        _ => {}
    }
    Ok(())
}

fn text(line: &LogLineView, timestamps: bool) -> String {
    let prefix = line.prefix.as_ref().map(|prefix| format!("{prefix} ")).unwrap_or_default();
    let at = line.at.as_ref().filter(|_| timestamps).map(|at| format!("{at} "));
    format!("{prefix}{}{}", at.unwrap_or_default(), line.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u32, id: Option<&str>) -> Event {
        let data = serde_json::json!({
            "at": "2026-01-01T00:00:00Z", "cluster": "c", "role": "worker", "pod": "p",
            "container": "x", "text": number.to_string(),
        });
        Event { name: "line".to_owned(), data: data.to_string(), id: id.map(str::to_owned) }
    }

    #[test]
    fn lines_that_come_again_after_a_break_count_once() {
        let mut progress = Progress::default();
        for (number, id) in [(1, Some("a")), (2, None), (2, None), (3, None)] {
            show(&event(number, id), Output::Json, false, &mut progress).unwrap();
        }
        assert_eq!((progress.lines, progress.last_id.as_deref()), (4, Some("a")));
        // The stream broke and goes on after the last id.
        progress.repeated.clone_from(&progress.since_id);
        for number in [2, 2, 3, 3, 4] {
            show(&event(number, None), Output::Json, false, &mut progress).unwrap();
        }
        assert_eq!(progress.lines, 6, "one more 3, and the 4");
    }

    #[test]
    fn request_says_what_was_typed() {
        let logs = Logs {
            id: "iris-1".to_owned(),
            follow: true,
            tail: Some(3),
            since: Some("10m".to_owned()),
            container: None,
            role: Some("a&b".to_owned()),
            replica: None,
            previous: false,
            timestamps: true,
        };
        assert_eq!(
            path(&logs),
            "/api/v1/jobs/iris-1/logs?format=sse&follow=true&tail=3&since=10m&role=a%26b"
        );
    }
}
