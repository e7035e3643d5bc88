//! What users can set: `hyperparameters.template-algorithm` of the form. The web form, the command line,
//! the checks of the API and the reference page all come from this one declaration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

plugin_sdk::choices! {
    /// Rule that turns gradients into steps.
    Optimizer {
        Adam = "adam",
        Adamw = "adamw",
        Sgd = "sgd",
    }
}

/// The parameters, in the order of the form.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Template Title")]
pub struct Hyperparameters {
    /// Passes over the training data.
    #[schemars(title = "Epochs", range(min = 1, max = 100_000), extend("x-group" = "Training"))]
    pub epochs: u32,
    /// Rows per step.
    #[schemars(
        title = "Batch size",
        range(min = 1, max = 65_536),
        extend("x-group" = "Training", "x-unit" = "rows")
    )]
    pub batch_size: u32,
    /// Start of the random numbers.
    #[schemars(title = "Seed", extend("x-group" = "Training"))]
    pub seed: u32,
    /// Size of a step.
    #[schemars(
        title = "Learning rate",
        extend("x-group" = "Optimizer", "exclusiveMinimum" = 0, "maximum" = 1)
    )]
    pub learning_rate: f64,
    /// Rule that turns gradients into steps.
    #[schemars(title = "Optimizer", extend("x-group" = "Optimizer"))]
    pub optimizer: Optimizer,
    /// Share of the last step that is repeated.
    #[schemars(
        title = "Momentum",
        extend(
            "x-group" = "Optimizer",
            "minimum" = 0,
            "exclusiveMaximum" = 1,
            "x-visible-when" = { "optimizer": ["sgd"] }
        )
    )]
    pub momentum: f64,
    /// Epochs without improvement on the validation data before the training stops. Empty: it
    /// never stops early.
    #[schemars(
        title = "Early stopping",
        range(min = 1, max = 100_000),
        extend("x-group" = "Stopping", "x-unit" = "epochs")
    )]
    pub early_stopping_patience: Option<u32>,
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 32,
            seed: 0,
            learning_rate: 0.001,
            optimizer: Optimizer::Adam,
            momentum: 0.9,
            early_stopping_patience: None,
        }
    }
}

impl Hyperparameters {
    /// Every parameter as the training program finds it: name and text, in the order of the form.
    pub(crate) fn variables(&self) -> [(&'static str, String); 7] {
        let patience = self
            .early_stopping_patience
            .map(|epochs| epochs.to_string());
        [
            ("HP_EPOCHS", self.epochs.to_string()),
            ("HP_BATCH_SIZE", self.batch_size.to_string()),
            ("HP_SEED", self.seed.to_string()),
            ("HP_LEARNING_RATE", self.learning_rate.to_string()),
            ("HP_OPTIMIZER", self.optimizer.as_str().to_owned()),
            ("HP_MOMENTUM", self.momentum.to_string()),
            ("HP_EARLY_STOPPING_PATIENCE", patience.unwrap_or_default()),
        ]
    }
}
