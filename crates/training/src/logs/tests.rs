//! Reading, following and archiving over ports in memory.
