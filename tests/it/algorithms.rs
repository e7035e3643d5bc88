//! Every converter of this repository in a whole host: from its smallest example, as a user would
//! post it, to the end of the job.

use serde_json::{Value, json};

use crate::harness::{Setup, plugins_dir, repo, until};

/// The smallest example of each converter, by its folder.
fn smallest_forms() -> Vec<Value> {
    let folders = std::fs::read_dir(repo().join("plugins")).unwrap();
    let examples = folders.map(|entry| entry.unwrap().path().join("examples/minimal.json"));
    let mut files: Vec<_> = examples.filter(|file| file.exists()).collect();
    files.sort();
    files
        .iter()
        .map(|file| serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap())
        .collect()
}

#[tokio::test]
async fn the_smallest_form_of_every_algorithm_runs() {
    let setup = Setup::sqlite().own_plugins();
    for entry in std::fs::read_dir(plugins_dir()).unwrap() {
        let built = entry.unwrap().path();
        std::fs::copy(&built, setup.plugins_dir().join(built.file_name().unwrap())).unwrap();
    }
    let app = setup.start().await;
    let forms = smallest_forms();
    assert!(forms.len() >= 11, "only {} converters have an example", forms.len());
    let mut jobs = Vec::new();
    for form in &forms {
        let algorithm = form["algorithm"]["algorithmName"].as_str().unwrap();
        let path = format!("/api/v1/algorithms/{algorithm}");
        until(algorithm, async || app.get(&path).await.status == 200).await;
        jobs.push((algorithm, app.submit(form).await));
    }
    for (algorithm, id) in jobs {
        if algorithm == "service" {
            // It has no end of its own.
            app.job_in_phase(&id, "Running").await;
            let cancelled = app.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).await;
            assert!([200, 202].contains(&cancelled.status), "{}", cancelled.body);
            app.job_in_phase(&id, "Cancelled").await;
        } else {
            app.job_in_phase(&id, "Succeeded").await;
        }
    }
}
