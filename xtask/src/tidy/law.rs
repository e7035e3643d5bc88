//! The import law as data: who may see whom. A new row or a new word in one is an architecture
//! change: write an ADR, and say it in ARCHITECTURE.md.

/// What one workspace package may depend on.
pub(super) struct Law {
    pub(super) package: &'static str,
    /// Workspace packages it may link.
    pub(super) may: &'static [&'static str],
    /// Workspace packages only its own tests may link, besides those above.
    pub(super) tests_may: &'static [&'static str],
    /// Foreign packages it must not link; its tests may.
    pub(super) never: &'static [&'static str],
    /// Why, in the words a violation prints.
    pub(super) because: &'static str,
}

/// Anything that can reach the world outside the process.
const IO: &[&str] = &[
    "axum",
    "hyper",
    "reqwest",
    "sqlx",
    "kube",
    "k8s-openapi",
    "wasmtime",
    "tower-http",
    "serde",
    "rustls",
    "clap",
];

/// Anything a guest without imports cannot have.
const OUTSIDE_THE_SANDBOX: &[&str] = &[
    "axum",
    "hyper",
    "reqwest",
    "sqlx",
    "kube",
    "wasmtime",
    "tokio",
    "rand",
    "getrandom",
    "uuid",
    "wasi",
    "clap",
    "tempfile",
];

pub(super) const LAWS: &[Law] = &[
    Law {
        package: "training",
        may: &[],
        tests_may: &[],
        never: IO,
        because: "decisions must be unable to do I/O, and stored JSON has its own types in job-store",
    },
    Law {
        package: "api-types",
        may: &[],
        tests_may: &[],
        never: &["axum", "hyper", "reqwest", "sqlx", "kube", "wasmtime", "tokio"],
        because: "wire types are promises, domain types are not; every client links them",
    },
    Law {
        package: "plugin-runtime",
        may: &["training"],
        tests_may: &["plugin-runtime", "plugin-sdk"],
        never: &["axum", "sqlx", "kube", "k8s-openapi"],
        because: "each adapter holds one heavy dependency, and adapters do not know each other",
    },
    Law {
        package: "job-store",
        may: &["training"],
        tests_may: &[],
        never: &["axum", "kube", "k8s-openapi", "wasmtime", "reqwest"],
        because: "each adapter holds one heavy dependency, and adapters do not know each other",
    },
    Law {
        package: "karmada-client",
        may: &["training"],
        tests_may: &["karmada-sandbox"],
        never: &["axum", "sqlx", "wasmtime"],
        because: "each adapter holds one heavy dependency, and adapters do not know each other",
    },
    Law {
        package: "karmada-sandbox",
        may: &[],
        tests_may: &[],
        never: &["kube", "k8s-openapi", "sqlx", "wasmtime"],
        because: "a simulator that shares our code shares our mistakes",
    },
    Law {
        package: "plugin-build",
        may: &[],
        tests_may: &[],
        never: &["tokio", "axum", "sqlx", "kube", "wasmtime", "reqwest"],
        because: "it runs compilers and never a plugin, and xtask must build in seconds",
    },
    Law {
        package: "plugin-tool",
        may: &["plugin-build", "plugin-runtime", "training", "job-store"],
        tests_may: &[],
        never: &["axum", "sqlx", "kube"],
        because: "a plugin author's tool needs neither server nor cluster, and reads jobs through job-store alone (ADR 0005)",
    },
    Law {
        package: "cli",
        may: &["api-types"],
        tests_may: &[],
        never: &["axum", "sqlx", "kube", "wasmtime"],
        because: "the command line knows only the wire types",
    },
    Law {
        package: "host",
        may: &["training", "api-types", "plugin-runtime", "job-store", "karmada-client"],
        tests_may: &["karmada-sandbox"],
        never: &["sqlx", "kube", "wasmtime"],
        because: "production has no fake inside, and heavy dependencies stay behind their adapter",
    },
    Law {
        package: "plugin-sdk",
        may: &[],
        tests_may: &[],
        never: OUTSIDE_THE_SANDBOX,
        because: "a guest has no clock, random, network or file system",
    },
    Law {
        package: "tests",
        may: &[],
        tests_may: &[
            "api-types",
            "cli",
            "host",
            "job-store",
            "karmada-client",
            "karmada-sandbox",
            "plugin-runtime",
            "plugin-sdk",
            "training",
        ],
        never: &[],
        because: "whole-system tests use what users use",
    },
    Law {
        package: "xtask",
        may: &["plugin-build"],
        tests_may: &[],
        never: &["tokio", "axum", "sqlx", "kube", "wasmtime", "reqwest"],
        because: "it must build in seconds, even when everything else is broken",
    },
];

/// For each converter below `plugins/`.
pub(super) const CONVERTER: Law = Law {
    package: "a converter",
    may: &["plugin-sdk"],
    tests_may: &[],
    never: OUTSIDE_THE_SANDBOX,
    because: "a guest has no clock, random, network or file system, and knows nothing of the host",
};

/// A rule about files of one package, which Cargo cannot see.
pub(super) struct InnerLaw {
    /// The files it is about: all below this folder …
    pub(super) within: &'static str,
    /// … but these.
    pub(super) except: &'static [&'static str],
    /// Paths that code must not begin a name with.
    pub(super) never: &'static [&'static str],
    pub(super) because: &'static str,
}

pub(super) const INNER_LAWS: &[InnerLaw] = &[
    InnerLaw {
        within: "crates/training/src",
        except: &[],
        never: &[
            "std::env::",
            "std::fs::",
            "std::net::",
            "std::process::",
            "tokio::fs::",
            "tokio::io::",
            "tokio::net::",
            "tokio::process::",
            "tokio::signal::",
            "tokio::spawn",
        ],
        because: "decisions must be unable to do I/O",
    },
    InnerLaw {
        within: "host/src",
        except: &["host/src/main.rs", "host/src/wire.rs"],
        never: &["job_store::", "karmada_client::", "plugin_runtime::"],
        because: "only main.rs and wire.rs name adapters",
    },
];
