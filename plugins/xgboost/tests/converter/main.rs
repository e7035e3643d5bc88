//! The converter as the host sees it: a job in, manifests out.
mod cases;
mod interpretation;
mod properties;
mod schemas;
