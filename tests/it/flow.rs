//! Whole lives of jobs, and what may go wrong on the way.

mod crash;
mod life;
mod lifecycle;
mod outage;
mod placement;
mod removal;
