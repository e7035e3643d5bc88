//! A read-only session beside the store: sees every job, deleted ones too, and changes nothing.

use job_store::{ConnectError, DatabaseUrl, History, HistoryQuery};
use training::manifest::Bundle;
use training::testing::samples;

use crate::databases::{postgres, sqlite};

fn query(limit: u32) -> HistoryQuery {
    HistoryQuery { limit, ..HistoryQuery::default() }
}

async fn names(history: &History, query: &HistoryQuery) -> Vec<String> {
    let jobs = history.jobs(query).await.unwrap();
    jobs.into_iter().map(|stored| stored.job.name.to_string()).collect()
}

async fn fill(store: &dyn training::ports::JobStore) {
    for (name, number) in [("a", 1), ("b", 2), ("c", 3)] {
        store.insert(&samples::new_job(samples::job(name, number))).await.unwrap();
    }
}

async fn reads_pages(url: String) {
    let history = History::open(&DatabaseUrl::new(url)).await.unwrap();
    let first = history.jobs(&query(2)).await.unwrap();
    let last = first.last().unwrap();
    assert_eq!(last.job.name.as_str(), "b");
    assert_eq!(last.bundle.digest(), last.job.provenance.bundle_digest);
    assert_ne!(last.bundle.to_text(), Bundle::parse(r#"{"manifests":[]}"#).unwrap().to_text());
    let after = Some((last.job.created_at, last.job.id.clone()));
    assert_eq!(names(&history, &HistoryQuery { after, ..query(2) }).await, ["a"]);
    let nowhere = HistoryQuery { namespace: Some("none".to_owned()), ..query(9) };
    assert_eq!(names(&history, &nowhere).await, Vec::<String>::new());
    let others = HistoryQuery { algorithms: vec!["other".to_owned()], ..query(9) };
    assert_eq!(names(&history, &others).await, Vec::<String>::new());
    let both = vec!["other".to_owned(), "xgboost".to_owned()];
    let some = HistoryQuery { algorithms: both, ..query(9) };
    assert_eq!(names(&history, &some).await, ["c", "b", "a"]);
    history.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_is_read_page_by_page_beside_an_open_store() {
    let database = sqlite();
    let connected = database.connect().await;
    fill(&*connected.store).await;
    reads_pages(database.url()).await;
    connected.close().await;
    reads_pages(database.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_read_page_by_page_beside_an_open_store() {
    let Some(database) = postgres().await else { return };
    let connected = database.connect().await;
    fill(&*connected.store).await;
    reads_pages(database.url()).await;
    connected.close().await;
    database.drop().await;
}

#[tokio::test]
async fn missing_file_is_not_made() {
    let database = sqlite();
    let opened = History::open(&DatabaseUrl::new(database.url())).await;
    assert!(matches!(opened, Err(ConnectError::Unreachable(_))), "{opened:?}");
    let path = database.url().replace("sqlite://", "");
    assert!(!std::path::Path::new(&path).exists());
}
