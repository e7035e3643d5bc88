//! Whole lives of jobs, and what may go wrong on the way.

mod algorithms;
mod chaos;
mod clusters;
mod crash;
mod explain;
mod life;
mod lifecycle;
mod logs;
mod outage;
mod placement;
mod removal;
