//! Whole lives of jobs, and what may go wrong on the way.

mod crash;
mod life;
mod logs;
mod outage;
mod removal;
