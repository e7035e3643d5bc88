//! The client against the sandbox, over HTTP. Time stands still in the sandbox unless a test
//! steps it; what a test waits for is a state, never a moment.

#[cfg(test)]
mod harness;
mod observing;
#[cfg(test)]
#[cfg(test)]
mod reading;
mod removing;
#[cfg(test)]
mod sharing;
mod tracing_back;
mod writing;
