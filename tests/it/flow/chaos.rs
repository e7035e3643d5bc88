//! Processes and connections die, stop and come back under load. A client remembers what it was
//! promised, and the sandbox what it was asked for: in the end the two must agree.

mod history;
mod outages;
mod repeats;
mod replicas;
mod statements;
mod steps;
