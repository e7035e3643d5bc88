//! The command line, as a process: data on stdout, talk on stderr, exit codes.

use std::process::{Command, Output};

use crate::harness::{App, Setup, program, sample_form};

async fn trainyard(app: &App, args: &[&str]) -> Output {
    let mut command = Command::new(program("trainyard"));
    command.args(["--server", &app.host.url]).args(args);
    tokio::task::spawn_blocking(move || command.output().expect("the command line runs"))
        .await
        .expect("it ends")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[tokio::test]
async fn job_is_submitted_watched_listed_and_deleted() {
    let app = Setup::sqlite().start().await;
    let form = app.dir.path().join("form.json");
    std::fs::write(&form, sample_form("typed").to_string()).unwrap();
    let form = form.display().to_string();
    let output = trainyard(&app, &["submit", "-f", &form, "-o", "json"]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let job: serde_json::Value = serde_json::from_slice(&output.stdout).expect("pure JSON");
    let id = job["id"].as_str().unwrap();
    app.job_in_phase(id, "Succeeded").await;
    let output = trainyard(&app, &["list"]).await;
    assert!(text(&output.stdout).contains("typed"), "{}", text(&output.stdout));
    let output = trainyard(&app, &["get", id]).await;
    assert!(text(&output.stdout).contains("Succeeded"), "{}", text(&output.stdout));
    let output = trainyard(&app, &["delete", id]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    app.job_gone(id).await;
}

#[tokio::test]
async fn refused_form_prints_each_field_and_exits_1() {
    let app = Setup::sqlite().start().await;
    let form = app.dir.path().join("form.json");
    let mut wrong = sample_form("typed");
    wrong["hyperparameters"]["xgboost"]["eta"] = serde_json::json!(7);
    std::fs::write(&form, wrong.to_string()).unwrap();
    let form = form.display().to_string();
    let output = trainyard(&app, &["submit", "-f", &form]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(
        text(&output.stderr).contains("/hyperparameters/xgboost/eta"),
        "{}",
        text(&output.stderr)
    );
}

#[tokio::test]
async fn sagemaker_document_is_printed_as_a_form_or_submitted() {
    let app = Setup::sqlite().start().await;
    let file = app.dir.path().join("sagemaker.json");
    let document = serde_json::json!({
        "TrainingJobName": "imported",
        "RoleArn": "arn:aws:iam::123456789012:role/train",
        "HyperParameters": {"num_round": "20"},
        "InputDataConfig": [{
            "ChannelName": "train",
            "DataSource": {"S3DataSource": {"S3Uri": "s3://churn/train/data.csv"}},
        }],
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    });
    std::fs::write(&file, document.to_string()).unwrap();
    let file = file.display().to_string();
    let output = trainyard(&app, &["import", "sagemaker", &file]).await;
    assert_eq!(output.status.code(), Some(1), "no image names the algorithm");
    assert!(text(&output.stderr).contains("/algorithm/algorithmName"), "{}", text(&output.stderr));
    let import = ["import", "sagemaker", &file, "--algorithm", "xgboost"];
    let output = trainyard(&app, &import).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("/RoleArn"), "{}", text(&output.stderr));
    let form: serde_json::Value = serde_json::from_slice(&output.stdout).expect("pure JSON");
    assert_eq!(form["hyperparameters"]["xgboost"]["num_round"], 20);
    assert_eq!(app.get("/api/v1/jobs").await.body, serde_json::json!([]), "nothing is stored");
    let output = trainyard(&app, &[&import[..], &["--submit"]].concat()).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    app.job_in_phase(text(&output.stdout).trim(), "Succeeded").await;
}

/// Lets clients reach the host, and cuts the first connection after so many bytes of its answer.
async fn cutting_proxy(host: String, after: usize) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    // Its tasks end with the test.
    let tasks = tokio_util::task::TaskTracker::new();
    let inner = tasks.clone();
    tasks.spawn(async move {
        let mut left = Some(after);
        while let Ok((mut client, _)) = listener.accept().await {
            let mut host = tokio::net::TcpStream::connect(&host).await.expect("the host");
            let Some(mut left) = left.take() else {
                inner.spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut host).await;
                });
                continue;
            };
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_host, mut to_host) = host.into_split();
            let asking = inner.spawn(async move {
                let _ = tokio::io::copy(&mut from_client, &mut to_host).await;
            });
            let mut piece = [0; 512];
            while left > 0 {
                let read = from_host.read(&mut piece).await.unwrap_or(0);
                let some = read.min(left);
                if some == 0 || to_client.write_all(&piece[..some]).await.is_err() {
                    break;
                }
                left -= some;
            }
            asking.abort();
        }
    });
    url
}

#[tokio::test]
async fn logs_follow_a_job_through_a_broken_connection_and_outlive_it() {
    let app = Setup::sqlite().speed(2.0).start().await;
    let id = app.submit(&sample_form("typed")).await;
    app.job_in_phase(&id, "Running").await;
    let last = trainyard(&app, &["logs", &id, "--tail", "1", "--timestamps"]).await;
    for role in ["[head/", "[worker/"] {
        let of: Vec<&str> =
            text(&last.stdout).lines().filter(|line| line.starts_with(role)).collect();
        assert!(of.len() == 1 && of[0].contains("] 20"), "{}", text(&last.stdout));
    }
    let host = app.host.url.trim_start_matches("http://").to_owned();
    let proxy = cutting_proxy(host, 2500).await;
    let mut command = Command::new(program("trainyard"));
    command.args(["--server", &proxy, "logs", &id, "-f", "--role", "driver"]);
    let followed = tokio::task::spawn_blocking(move || command.output().expect("it runs"));
    let followed = followed.await.expect("it ends");
    assert!(followed.status.success(), "{}", text(&followed.stderr));
    let whole = trainyard(&app, &["logs", &id, "--role", "driver"]).await;
    assert!(text(&whole.stdout).ends_with("Training finished.\n"), "{}", text(&whole.stdout));
    assert_eq!(text(&followed.stdout), text(&whole.stdout), "no line is lost or twice");
    assert!(followed.stdout.len() > 200, "the connection broke in the middle");

    trainyard(&app, &["delete", &id]).await;
    app.job_gone(&id).await;
    let after = trainyard(&app, &["logs", &id, "--role", "driver"]).await;
    assert_eq!(text(&after.stdout), text(&whole.stdout));
    let wrong = trainyard(&app, &["logs", &id, "--role", "nobody"]).await;
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).contains("Roles: driver"), "{}", text(&wrong.stderr));
}
