//! Whole-system tests live in `it/`, the benchmark in `benches/`. This library is empty.
