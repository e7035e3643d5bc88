//! Messages to the operator's log. In a sandbox they go through the contract's only import; in
//! native tests and benchmarks to standard error.

pub use crate::bindings::trainyard::converter::log::Level;

/// Writes one message. Never write form contents that could be secret.
#[cfg(target_arch = "wasm32")]
pub fn write(level: Level, message: &str) {
    crate::bindings::trainyard::converter::log::write(level, message);
}

/// Writes one message. Never write form contents that could be secret.
#[cfg(not(target_arch = "wasm32"))]
pub fn write(level: Level, message: &str) {
    eprintln!("{level:?}: {message}");
}

/// Without this a panic reaches the host as a bare `unreachable` trap and its text is lost.
pub(crate) fn install_panic_hook() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| write(Level::Error, &panic.to_string())));
}
