//! The closed sets of words among the hyperparameters, and the three that are nearly closed:
//! numbers of threads, updaters and metrics.

use std::borrow::Cow;

use plugin_sdk::choices;
use plugin_sdk::number::whole;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, IntoDeserializer, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Serialize, Serializer};

choices! {
    /// What is boosted.
    Booster { Gbtree = "gbtree", Gblinear = "gblinear", Dart = "dart" }
}
choices! {
    /// Where the training computes.
    Device { Auto = "auto", Cpu = "cpu", Cuda = "cuda" }
}
choices! {
    /// How rows are drawn.
    SamplingMethod { Uniform = "uniform", GradientBased = "gradient_based" }
}
choices! {
    /// How splits are searched.
    TreeMethod { Auto = "auto", Exact = "exact", Approx = "approx", Hist = "hist" }
}
choices! {
    /// How data is divided among workers.
    DataSplit { Row = "row", Col = "col" }
}
choices! {
    /// Whether trees are built or changed.
    ProcessType { Default = "default", Update = "update" }
}
choices! {
    /// Which node is split next.
    GrowPolicy { Depthwise = "depthwise", Lossguide = "lossguide" }
}
choices! {
    /// How trees are chosen to be dropped.
    SampleType { Uniform = "uniform", Weighted = "weighted" }
}
choices! {
    /// How much a new tree weighs after a drop.
    NormalizeType { Tree = "tree", Forest = "forest" }
}
choices! {
    /// What the training minimizes.
    Objective {
        RegSquaredError = "reg:squarederror",
        RegSquaredLogError = "reg:squaredlogerror",
        RegLogistic = "reg:logistic",
        RegPseudoHuberError = "reg:pseudohubererror",
        RegAbsoluteError = "reg:absoluteerror",
        RegQuantileError = "reg:quantileerror",
        RegExpectileError = "reg:expectileerror",
        BinaryLogistic = "binary:logistic",
        BinaryLogitRaw = "binary:logitraw",
        BinaryHinge = "binary:hinge",
        CountPoisson = "count:poisson",
        SurvivalCox = "survival:cox",
        SurvivalAft = "survival:aft",
        MultiSoftmax = "multi:softmax",
        MultiSoftprob = "multi:softprob",
        RankNdcg = "rank:ndcg",
        RankMap = "rank:map",
        RankPairwise = "rank:pairwise",
        RegGamma = "reg:gamma",
        RegTweedie = "reg:tweedie",
    }
}

impl Objective {
    /// More than two classes.
    pub fn is_multi_class(self) -> bool {
        matches!(self, Self::MultiSoftmax | Self::MultiSoftprob)
    }
}

/// Threads per worker: `"auto"`, a number, or a number as text, because the predecessor's form
/// sent one and its backend took the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nthread {
    /// As many as the instance has cores.
    Auto,
    /// At least 1.
    Fixed(u32),
}

const NTHREAD_PATTERN: &str = "^(auto|[1-9][0-9]{0,4})$";
const NTHREAD_MAX: u32 = 99_999;

impl Serialize for Nthread {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Fixed(threads) => serializer.serialize_u32(*threads),
        }
    }
}

impl<'de> Deserialize<'de> for Nthread {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Threads;

        impl Visitor<'_> for Threads {
            type Value = Nthread;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "`auto` or a whole number from 1 to {NTHREAD_MAX}")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Nthread, E> {
                if text == "auto" {
                    return Ok(Nthread::Auto);
                }
                match text.parse::<u32>() {
                    Ok(threads) if !text.starts_with(['+', '0']) => self.visit_u64(threads.into()),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Nthread, E> {
                let threads = u32::try_from(number).ok().filter(|n| (1..=NTHREAD_MAX).contains(n));
                let invalid = || E::invalid_value(Unexpected::Unsigned(number), &self);
                threads.map(Nthread::Fixed).ok_or_else(invalid)
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Nthread, E> {
                whole(number.into_deserializer()).and_then(|n| self.visit_u64(n.into()))
            }
        }

        deserializer.deserialize_any(Threads)
    }
}

impl JsonSchema for Nthread {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Nthread".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "pattern": NTHREAD_PATTERN,
            "minimum": 1,
            "maximum": NTHREAD_MAX,
        })
    }
}

/// Comma-separated steps, `auto`, or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Updater(Cow<'static, str>);

/// The first four are no updaters of the library; the predecessor's form offered them.
const UPDATERS: [&str; 15] = [
    "auto",
    "exact",
    "approx",
    "hist",
    "grow_colmaker",
    "grow_histmaker",
    "grow_quantile_histmaker",
    "grow_gpu_hist",
    "grow_gpu_approx",
    "refresh",
    "prune",
    "sync",
    "shotgun",
    "coord_descent",
    "gpu_coord_descent",
];

impl Updater {
    pub(crate) const fn auto() -> Self {
        Self(Cow::Borrowed("auto"))
    }

    /// The steps, unless the choice is left to the tree method.
    pub fn steps(&self) -> Option<&str> {
        Some(&*self.0).filter(|steps| !steps.is_empty() && *steps != "auto")
    }
}

impl JsonSchema for Updater {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Updater".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = UPDATERS.join("|");
        json_schema!({
            "type": "string",
            "anyOf": [{ "enum": UPDATERS }, { "pattern": format!("^$|^({one})(,({one}))*$") }],
        })
    }
}

/// Metrics, in order. One alone may come without its array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct EvalMetric(Vec<Cow<'static, str>>);

/// What forms offer. Others that match the pattern are valid too.
const METRICS: [&str; 22] = [
    "rmse",
    "rmsle",
    "mae",
    "mape",
    "mphe",
    "logloss",
    "error",
    "error@0.5",
    "merror",
    "mlogloss",
    "auc",
    "aucpr",
    "pre",
    "ndcg",
    "map",
    "poisson-nloglik",
    "gamma-nloglik",
    "cox-nloglik",
    "gamma-deviance",
    "tweedie-nloglik",
    "aft-nloglik",
    "interval-regression-accuracy",
];

/// Metrics with a threshold, a cut-off or a power, and two that came after the form.
const METRIC_PATTERN: &str = "^(error@(0?\\.[0-9]+|[01](\\.[0-9]+)?)|(ndcg|map|pre)(@[1-9][0-9]*)?-?|\
                              tweedie-nloglik@1\\.[0-9]+|quantile|expectile)$";

impl EvalMetric {
    pub(crate) fn single(metric: &'static str) -> Self {
        Self(vec![Cow::Borrowed(metric)])
    }

    /// Every metric, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|metric| &**metric)
    }

    /// The metrics as one text, if there are any.
    pub fn joined(&self) -> Option<Cow<'_, str>> {
        match self.0.as_slice() {
            [] => None,
            [one] => Some(Cow::Borrowed(one)),
            several => Some(Cow::Owned(several.join(","))),
        }
    }
}

impl<'de> Deserialize<'de> for EvalMetric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Metrics;

        impl<'de> Visitor<'de> for Metrics {
            type Value = EvalMetric;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a metric or an array of metrics")
            }

            fn visit_str<E: Error>(self, metric: &str) -> Result<EvalMetric, E> {
                Ok(EvalMetric(vec![Cow::Owned(metric.to_owned())]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<EvalMetric, A::Error> {
                let mut metrics = Vec::new();
                while let Some(metric) = seq.next_element::<String>()? {
                    metrics.push(Cow::Owned(metric));
                }
                Ok(EvalMetric(metrics))
            }
        }

        deserializer.deserialize_any(Metrics)
    }
}

impl JsonSchema for EvalMetric {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "EvalMetric".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            // `items` speaks about an array, `anyOf` about one metric without its array.
            "type": ["array", "string"],
            "items": {
                "type": "string",
                "anyOf": [{ "enum": METRICS }, { "pattern": METRIC_PATTERN }],
            },
            "anyOf": [
                { "type": "array" },
                { "enum": METRICS },
                { "type": "string", "pattern": METRIC_PATTERN },
            ],
        })
    }
}
