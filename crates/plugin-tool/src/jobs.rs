//! Where stored jobs come from: the database of a host, in a session that cannot write, or a file
//! that `export` wrote. Read in pages, so that a million jobs need no more memory than a hundred.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Lines, Read as _, Take};
use std::path::Path;

use anyhow::Context;
use job_store::{DatabaseUrl, History, HistoryQuery};
use training::JobId;
use training::clock::Timestamp;

use crate::record::Record;
use crate::{Outcome, Wrong};

/// Jobs in memory at a time.
const PAGE: u32 = 64;
/// Longest export that is read, so that a mistaken device file ends.
const EXPORT_BYTES: u64 = 64 << 30;

/// Which jobs are wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Only this namespace.
    pub(crate) namespace: Option<String>,
    /// Only these algorithms; empty for all.
    pub(crate) algorithms: Vec<String>,
    /// At most so many, the newest first.
    pub(crate) last: Option<usize>,
}

/// A source that is being read.
pub(crate) struct Jobs {
    from: From,
    filter: Filter,
    left: usize,
}

enum From {
    Database { history: History, after: Option<(Timestamp, JobId)>, ended: bool },
    File { name: String, lines: Lines<BufReader<Take<File>>>, line: usize },
}

impl Jobs {
    /// Opens a database URL or a file.
    pub(crate) async fn open(source: &str, filter: Filter) -> Outcome<Self> {
        let from = if source.contains("://") || source.starts_with("sqlite:") {
            match History::open(&DatabaseUrl::new(source)).await {
                Ok(history) => From::Database { history, after: None, ended: false },
                Err(error) => {
                    // The URL may hold a password and is not repeated.
                    let error = anyhow::Error::new(error);
                    return Ok(Err(Wrong(vec![
                        format!("the database cannot be read: {error:#}"),
                        "hint: give a URL like sqlite:///var/lib/trainyard/jobs.db or \
                         postgres://user@host/name"
                            .to_owned(),
                    ])));
                }
            }
        } else {
            match File::open(Path::new(source)) {
                Ok(file) => From::File {
                    name: source.to_owned(),
                    lines: BufReader::new(file.take(EXPORT_BYTES)).lines(),
                    line: 0,
                },
                Err(error) => return Ok(Err(Wrong(vec![format!("{source}: {error}")]))),
            }
        };
        let left = filter.last.unwrap_or(usize::MAX);
        Ok(Ok(Self { from, filter, left }))
    }

    /// The next jobs; empty at the end.
    pub(crate) async fn page(&mut self) -> Outcome<Vec<Record>> {
        let wanted = self.left.min(PAGE as usize);
        let page = match &mut self.from {
            _ if wanted == 0 => Vec::new(),
            From::Database { ended: true, .. } => Vec::new(),
            From::Database { history, after, ended } => {
                let query = HistoryQuery {
                    namespace: self.filter.namespace.clone(),
                    algorithms: self.filter.algorithms.clone(),
                    after: after.take(),
                    limit: u32::try_from(wanted).unwrap_or(PAGE),
                };
                let page = history.jobs(&query).await.context(
                    "jobs cannot be read; a database of an older release must be migrated by its \
                     host first",
                )?;
                *after = page.last().map(|last| (last.job.created_at, last.job.id.clone()));
                *ended = page.len() < wanted;
                page.into_iter().map(Record::from).collect()
            }
            From::File { name, lines, line } => {
                let mut page = Vec::with_capacity(wanted);
                while page.len() < wanted {
                    let Some(text) = lines.next() else { break };
                    *line += 1;
                    let text = text.with_context(|| format!("{name}, line {line}"))?;
                    if text.trim().is_empty() {
                        continue;
                    }
                    let record: Record = match serde_json::from_str(&text) {
                        Ok(record) => record,
                        Err(error) => {
                            let what = format!("{name}, line {line}: not an exported job: {error}");
                            return Ok(Err(Wrong(vec![what])));
                        }
                    };
                    if self.filter.takes(&record) {
                        page.push(record);
                    }
                }
                page
            }
        };
        self.left = self.left.saturating_sub(page.len());
        Ok(Ok(page))
    }
}

impl Filter {
    fn takes(&self, record: &Record) -> bool {
        self.namespace.as_ref().is_none_or(|namespace| *namespace == record.namespace)
            && (self.algorithms.is_empty() || self.algorithms.contains(&record.algorithm))
    }
}
