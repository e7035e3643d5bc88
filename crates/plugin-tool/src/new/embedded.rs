//! The files that the build script collected.

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
