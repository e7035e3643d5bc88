//! Volume claims: as large as the job asked for, all together, and empty when they are made. A
//! claim is recognised by its shape, so those in templates and pods count, too.

use serde_json::{Map, Value};

use super::report::{Report, given, quoted};
use super::{Owner, quantity};

/// Members that give a claim somebody else's data.
const FOREIGN_DATA: [&str; 4] = ["volumeName", "dataSource", "dataSourceRef", "selector"];

/// Whether an object is the specification of a claim.
pub(super) fn is_claim(members: &Map<String, Value>) -> bool {
    members.get("accessModes").is_some_and(Value::is_array)
}

/// What all claims of a bundle ask for.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// In thousandths of a byte.
    total: u128,
}

impl Claims {
    /// Takes one claim in, made `count` times.
    pub(super) fn add(
        &mut self,
        claim: &Map<String, Value>,
        at: &str,
        count: u128,
        owner: Owner<'_>,
        report: &mut Report,
    ) {
        for key in FOREIGN_DATA {
            if given(claim, key).is_some() {
                let detail = "A new claim is empty: it takes neither a volume nor data of others.";
                report.refuse(format!("{at}/{key}"), "foreign-volume", detail);
            }
        }
        if owner.resources.volume_size_gb == 0 {
            let detail = "The job asks for no volume: its `resources.volumeSizeGB` is 0.";
            report.refuse(at, "over-ceiling", detail);
            return;
        }
        let resources = claim.get("resources");
        let mut size = None;
        for block in ["requests", "limits"] {
            let asked = resources.and_then(|all| all.get(block)?.get("storage"));
            let Some(asked) = asked.filter(|asked| !asked.is_null()) else { continue };
            let Some(bytes) = quantity::read(asked) else {
                let detail = format!("{} is not a quantity.", quoted(&asked.to_string()));
                report.refuse(format!("{at}/resources/{block}/storage"), "quantity", detail);
                return;
            };
            size = size.max(Some(bytes));
        }
        match size {
            Some(bytes) => self.total = self.total.saturating_add(bytes.saturating_mul(count)),
            None => report.refuse(
                format!("{at}/resources/requests/storage"),
                "quantity",
                "A claim says how large it is.",
            ),
        }
    }

    /// Checks the sum.
    pub(super) fn finish(&self, owner: Owner<'_>, report: &mut Report) {
        let gib = owner.resources.volume_size_gb;
        let most = (u128::from(gib) << 30) * 1000;
        if self.total > most && gib > 0 {
            let asked = (self.total / 1000).div_ceil(1 << 20);
            let detail = format!(
                "The volume claims ask for {asked} MiB together, and the job for {gib} GiB."
            );
            report.refuse("", "over-ceiling", detail);
        }
    }
}
