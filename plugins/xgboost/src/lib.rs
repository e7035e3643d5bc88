//! Converter: XGBoost on Ray.
use plugin_sdk::{Converter, Description, Failure, Job, Kind, Plan, Report, RunState, Workload};

/// None yet.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
pub struct Hyperparameters {}
/// None yet.
#[derive(Debug, Default, serde::Deserialize, schemars::JsonSchema)]
pub struct Settings {}
/// XGBoost on Ray.
#[derive(Debug)]
pub struct Xgboost;

impl Converter for Xgboost {
    type Hyperparameters = Hyperparameters;
    type Settings = Settings;
    fn describe() -> Description {
        Description {
            name: "xgboost",
            version: "0.1.0",
            algorithms: &["xgboost"],
            title: "XGBoost",
            summary: "Gradient boosted trees on Ray.",
            kinds: vec![Kind::workload("ray.io/v1", "RayJob", "rayjobs", 47)],
            examples: &[],
        }
    }
    fn convert(_: &Job<'_, Hyperparameters, Settings>) -> Result<Plan, Failure> {
        Err(Failure::Unsupported("Not yet.".into()))
    }
    fn interpret(_: &Workload) -> Report {
        Report::new(RunState::Unknown, "Unknown", "Unknown.")
    }
}
plugin_sdk::export_converter!(Xgboost);
