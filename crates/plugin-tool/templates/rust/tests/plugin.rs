//! The converter, natively: the cases that `trainyard-plugin check` takes through the component, and
//! the statuses of the workload.

use std::path::Path;

use plugin_sdk::testing::assert_cases;
use plugin_sdk::{RunState, guest};
use template_name::Plugin;

/// After a wanted change: `TRAINYARD_UPDATE_CASES=1 cargo test`, and review what it wrote.
#[test]
fn every_case_gives_what_it_says() {
    assert_cases::<Plugin>(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/cases")));
}

#[test]
fn a_job_is_followed_to_its_end() {
    for (status, expected) in [
        (r"null", RunState::Unknown),
        (r#"{"active":1,"ready":0}"#, RunState::Pending),
        (r#"{"active":1,"ready":1}"#, RunState::Running),
        (
            r#"{"conditions":[{"type":"Complete","status":"True"}]}"#,
            RunState::Succeeded,
        ),
        (
            r#"{"conditions":[{"type":"Failed","status":"True"}]}"#,
            RunState::Failed,
        ),
    ] {
        let object = format!(r#"{{"metadata":{{"name":"iris"}},"status":{status}}}"#);
        assert_eq!(
            guest::interpret::<Plugin>(&object).state,
            expected,
            "{status}"
        );
    }
}
