//! In-memory ports and the contract suite every job store must pass.
