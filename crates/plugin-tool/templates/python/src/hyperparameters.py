"""What users of Template Title can set. The web form, the command line, the checks of the API and the
reference page all come from this one declaration."""

from dataclasses import dataclass

from trainyard.schema import parameter


@dataclass(frozen=True)
class Hyperparameters:
    """`hyperparameters.template-algorithm` of the form."""

    epochs: int = parameter(
        10, "Epochs", "Passes over the training data.", group="Training", minimum=1, maximum=100_000
    )
    batch_size: int = parameter(
        32,
        "Batch size",
        "Rows per step.",
        group="Training",
        unit="rows",
        minimum=1,
        maximum=65_536,
    )
    seed: int = parameter(
        0, "Seed", "Start of the random numbers.", group="Training", minimum=0, maximum=4_294_967_295
    )
    learning_rate: float = parameter(
        0.001, "Learning rate", "Size of a step.", group="Optimizer", above=0, maximum=1
    )
    optimizer: str = parameter(
        "adam", "Optimizer", "Rule that turns gradients into steps.", group="Optimizer",
        choices=["adam", "adamw", "sgd"],
    )
    momentum: float = parameter(
        0.9,
        "Momentum",
        "Share of the last step that is repeated.",
        group="Optimizer",
        minimum=0,
        below=1,
        visible_when={"optimizer": ["sgd"]},
    )
    early_stopping_patience: int | None = parameter(
        None,
        "Early stopping",
        "Epochs without improvement on the validation data before the training stops. Empty: it "
        "never stops early.",
        group="Stopping",
        unit="epochs",
        minimum=1,
        maximum=100_000,
    )
