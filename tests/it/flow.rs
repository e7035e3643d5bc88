//! Whole lives of jobs, and what may go wrong on the way.

mod chaos;
mod crash;
mod life;
mod lifecycle;
mod outage;
mod removal;
