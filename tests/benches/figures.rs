//! `cargo xtask bench`: the figures of the product, as ratios taken in one run.
//!
//! The machine may be shared and noisy, so a figure is the median over rounds in which both sides
//! of a ratio take turns; absolute times are printed for context only. Nothing here fails because
//! something was slow.

#[path = "figures/catalog.rs"]
mod catalog;
#[path = "figures/control_plane.rs"]
mod control_plane;
#[path = "figures/conversion.rs"]
mod conversion;
#[path = "figures/crossing.rs"]
mod crossing;
#[path = "figures/fleet.rs"]
mod fleet;
#[path = "figures/plugins.rs"]
mod plugins;
#[path = "figures/process.rs"]
mod process;
#[path = "figures/report.rs"]
mod report;
#[path = "figures/submission.rs"]
mod submission;

use report::Report;

fn main() -> anyhow::Result<()> {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    if cfg!(debug_assertions) {
        eprintln!("a build for debugging: few rounds, and figures that mean nothing");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(dir) = std::env::var_os(catalog::MEASURED) {
        return runtime.block_on(catalog::be_measured(&dir));
    }
    if let Some(sizes) = std::env::var_os(crossing::PARTNER) {
        return crossing::be_partner(&sizes);
    }
    let mut report = Report::new();
    if runs("conversion") {
        runtime.block_on(conversion::measure(&mut report))?;
    }
    if runs("plugins") {
        runtime.block_on(plugins::measure(&mut report))?;
    }
    if runs("catalog") {
        runtime.block_on(catalog::measure(&mut report))?;
    }
    if runs("process") {
        runtime.block_on(process::measure(&mut report))?;
    }
    if runs("submission") {
        runtime.block_on(submission::measure(&mut report))?;
    }
    if runs("fleet") {
        runtime.block_on(fleet::measure(&mut report))?;
    }
    if runs("control-plane") {
        runtime.block_on(control_plane::measure(&mut report))?;
    }
    report.finish()
}
