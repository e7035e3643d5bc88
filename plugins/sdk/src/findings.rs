//! A place to collect what is wrong with a form.

use crate::Finding;

/// Findings about the hyperparameters of one algorithm, and about the rest of its form.
#[derive(Debug)]
pub struct Findings {
    algorithm: String,
    found: Vec<Finding>,
}

impl Findings {
    /// No finding yet. `algorithm` is the canonical name.
    pub fn of(algorithm: &str) -> Self {
        Self { algorithm: algorithm.to_owned(), found: Vec::new() }
    }

    /// The hyperparameter `field` does not go with another value of the form.
    pub fn conflict(&mut self, field: &str, message: impl Into<String>) {
        self.add(field, "conflict", message);
    }

    /// Something else about a hyperparameter. `field` may be a path, such as `ports/0/name`.
    pub fn add(&mut self, field: &str, code: &str, message: impl Into<String>) {
        let pointer = format!("/hyperparameters/{}/{field}", self.algorithm);
        self.found.push(Finding::new(pointer, code, message));
    }

    /// Something about another part of the form.
    pub fn at(&mut self, pointer: impl Into<String>, code: &str, message: impl Into<String>) {
        self.found.push(Finding::new(pointer, code, message));
    }

    /// Everything that was found.
    pub fn into_vec(self) -> Vec<Finding> {
        self.found
    }
}

/// One part of a pointer, with what RFC 6901 escapes.
pub fn segment(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
