//! What a member cluster has of each resource and what is left of it, from the figures that
//! Karmada passes on. For display; [`crate::placement`] has its own sums.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::admit::quantity;

/// One resource of a cluster, in thousandths of its unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Its name, such as `nvidia.com/gpu`.
    pub resource: String,
    /// All that pods may use.
    pub allocatable: u128,
    /// Taken by pods that have a node.
    pub allocated: u128,
    /// Asked for by pods that wait for one.
    pub allocating: u128,
}

impl Room {
    /// What is left; zero where more is asked for than there is.
    pub fn free(&self) -> u128 {
        self.allocatable.saturating_sub(self.allocated).saturating_sub(self.allocating)
    }

    /// An amount of this resource as a Kubernetes quantity that people can read: bytes in units of
    /// 1024 with one digit after the point, everything else as it is. Rounded down.
    pub fn write(&self, millis: u128) -> String {
        let bytes = matches!(self.resource.as_str(), "memory" | "ephemeral-storage" | "storage")
            || self.resource.starts_with("hugepages-");
        match (bytes, millis % 1000) {
            (true, _) => write_bytes(millis / 1000),
            (false, 0) => (millis / 1000).to_string(),
            (false, _) => format!("{millis}m"),
        }
    }
}

fn write_bytes(bytes: u128) -> String {
    let units = [(40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")];
    // A few Ti are told in Gi, which people compare jobs with.
    let fitting = units
        .into_iter()
        .find(|(shift, unit)| bytes >= 1 << shift && (*unit != "Ti" || bytes >= 16 << shift));
    let Some((shift, unit)) = fitting else { return bytes.to_string() };
    let tenths = (bytes * 10) >> shift;
    match tenths % 10 {
        0 => format!("{}{unit}", tenths / 10),
        tenth => format!("{}.{tenth}{unit}", tenths / 10),
    }
}

/// Every resource of a summary, by name. What cannot be read counts as none.
pub fn room(summary: &Value) -> Vec<Room> {
    let parts = ["allocatable", "allocated", "allocating"];
    let names: BTreeSet<&String> = parts
        .into_iter()
        .filter_map(|part| summary.get(part)?.as_object())
        .flat_map(serde_json::Map::keys)
        .collect();
    let amount = |part: &str, resource: &str| {
        let quantity = summary.get(part).and_then(|amounts| amounts.get(resource));
        quantity.and_then(quantity::read).unwrap_or(0)
    };
    let of = |name: &String| Room {
        resource: name.clone(),
        allocatable: amount("allocatable", name),
        allocated: amount("allocated", name),
        allocating: amount("allocating", name),
    };
    names.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_resource_is_told_whoever_makes_it() {
        let rooms = room(&json!({
            "allocatable": {"cpu": "128", "memory": "1056Gi", "nvidia.com/gpu": 16, "amd.com/gpu": "2"},
            "allocated": {"cpu": "2500m", "memory": "512Mi", "nvidia.com/gpu": "3"},
            "allocating": {"nvidia.com/gpu": "20", "odd": "x"},
        }));
        let told: Vec<(&str, String, String)> = rooms
            .iter()
            .map(|room| {
                (room.resource.as_str(), room.write(room.allocatable), room.write(room.free()))
            })
            .collect();
        let expected = [
            ("amd.com/gpu", "2", "2"),
            ("cpu", "128", "125500m"),
            ("memory", "1056Gi", "1055.5Gi"),
            ("nvidia.com/gpu", "16", "0"),
            ("odd", "0", "0"),
        ];
        let expected: Vec<(&str, String, String)> =
            expected.iter().map(|(a, b, c)| (*a, (*b).to_owned(), (*c).to_owned())).collect();
        assert_eq!(told, expected);
        assert_eq!(room(&Value::Null), []);
    }

    #[test]
    fn bytes_are_written_for_people_and_read_back_by_machines() {
        for (bytes, text) in [
            (0, "0"),
            (1023, "1023"),
            (1 << 10, "1Ki"),
            (3 << 29, "1.5Gi"),
            ((1 << 30) + 1, "1Gi"),
            (8 << 40, "8192Gi"),
            (20 << 40, "20Ti"),
        ] {
            assert_eq!(write_bytes(bytes), text);
            assert!(quantity::millis(text).unwrap() <= bytes * 1000, "{text}");
        }
    }
}
