//! Whole lives of jobs, and what may go wrong on the way.

mod clusters;
mod crash;
mod explain;
mod life;
mod outage;
mod removal;
