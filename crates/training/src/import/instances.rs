//! How large the machines of other platforms are.

use serde_json::Value;

/// By family and size: virtual CPUs, GiB of memory, GPUs. From the public tables of EC2 instance
/// types, whose names SageMaker puts `ml.` before; memory that is not whole is rounded down, because
/// a machine has no more.
const TABLE: &str = include_str!("instances.json");

/// What a machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) cores: u64,
    pub(super) gib: u64,
    pub(super) gpus: u64,
}

/// The machine of a type like `ml.g5.2xlarge`.
pub(super) fn machine(kind: &str) -> Option<Machine> {
    let (family, size) = kind.strip_prefix("ml.")?.split_once('.')?;
    let table: Value = serde_json::from_str(TABLE).ok()?;
    let found = table.get(family)?.get(size)?;
    let number = |at: usize| found.get(at)?.as_u64();
    Some(Machine { cores: number(0)?, gib: number(1)?, gpus: number(2)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_of_the_table_can_be_asked_for() {
        let table: Value = serde_json::from_str(TABLE).unwrap();
        let mut count = 0;
        for (family, sizes) in table.as_object().unwrap() {
            for size in sizes.as_object().unwrap().keys() {
                let kind = format!("ml.{family}.{size}");
                let found = machine(&kind).unwrap_or_else(|| panic!("{kind}"));
                assert!((1..=1024).contains(&found.cores), "{kind}");
                assert!((1..=65_536).contains(&found.gib) && found.gpus <= 64, "{kind}");
                count += 1;
            }
        }
        assert!(count > 100, "{count}");
    }

    #[test]
    fn machines_are_found_by_their_type() {
        let machine = |kind| machine(kind).map(|it| (it.cores, it.gib, it.gpus));
        assert_eq!(machine("ml.m5.xlarge"), Some((4, 16, 0)));
        assert_eq!(machine("ml.p4d.24xlarge"), Some((96, 1152, 8)));
        for unknown in ["m5.xlarge", "ml.m5", "ml.m5.tiny", "ml.trn1.2xlarge", "local", ""] {
            assert_eq!(machine(unknown), None, "{unknown}");
        }
    }
}
