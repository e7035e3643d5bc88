//! Kubernetes quantities in a form: `500m` cores, `4Gi` of memory. Plugins count in whole cores and
//! GiB, so a quantity is read twice: rounded up for the plugin, and exactly for the host.

use super::reader::Fields;
use crate::admit::quantity;
use crate::job::Amount;

/// As many as the nested form takes.
const MOST_CORES: u64 = 1024;
/// As many as the nested form takes.
const MOST_GIB: u64 = 65_536;

/// A kind of quantity.
#[derive(Clone, Copy)]
struct Unit {
    /// How many of the smallest parts make a whole one.
    whole: u64,
    /// Thousandths of the base unit that are one smallest part.
    part: u128,
    least: u64,
    most: u64,
    /// Whether nothing is an amount, too.
    zero: bool,
    /// For mistakes.
    example: &'static str,
    range: &'static str,
}

/// Smallest part: a thousandth of a core.
const CPU: Unit = Unit {
    whole: 1000,
    part: 1,
    least: 1,
    zero: false,
    most: MOST_CORES * 1000,
    example: "`2` or `500m`",
    range: "more than 0 and at most 1024 cores",
};
/// Smallest part: a byte. Whoever asks for less than a MiB forgot the unit: `4` are four bytes.
const BYTES: Unit = Unit {
    whole: 1 << 30,
    part: 1000,
    least: 1 << 20,
    zero: true,
    most: MOST_GIB << 30,
    example: "`4Gi` or `512Mi`",
    range: "at least 1Mi and at most 65536Gi; mind the unit, a bare number counts bytes",
};

/// A request and a limit.
pub(super) struct Sized {
    /// Rounded up to whole ones: what the plugin is told.
    pub(super) whole: u64,
    /// The exact amounts, unless they are the whole ones.
    pub(super) exact: Option<Amount>,
    /// Pointer to the field that decides how large the whole is.
    pub(super) decided_by: String,
}

/// A field with the object that may hold it.
type Place<'f, 'v> = (&'static str, &'f Fields<'v>);

/// The CPU of an instance: its request, and its limit.
pub(super) fn cpu(places: [Option<Place<'_, '_>>; 2]) -> Option<Sized> {
    request_and_limit(places, CPU)
}

/// The memory of an instance: its request, and its limit. A request of nothing is none.
pub(super) fn memory(places: [Option<Place<'_, '_>>; 2]) -> Option<Sized> {
    request_and_limit(places, BYTES)
}

/// The size of a volume: in whole Gi, and in bytes unless these are the same. Nothing is none.
pub(super) fn volume(form: &Fields<'_>) -> Option<(u64, Option<u64>)> {
    let bytes = read(form, "storageSize", BYTES)?;
    let whole = bytes.div_ceil(BYTES.whole);
    Some((whole, (bytes != whole * BYTES.whole).then_some(bytes)))
}

fn request_and_limit([request, limit]: [Option<Place<'_, '_>>; 2], unit: Unit) -> Option<Sized> {
    let amount = |place: Option<Place<'_, '_>>| {
        let (member, form) = place?;
        Some((read(form, member, unit)?, form.pointer(member)))
    };
    let (asked, most) = (amount(request), amount(limit));
    if let (Some((asked, at)), Some((most, _))) = (&asked, &most)
        && most < asked
        && let Some((member, form)) = limit
    {
        let request = at.trim_start_matches('/').replace('/', ".");
        form.mistake(member, "conflict", format!("The limit must not be below `{request}`."));
    }
    // As in Kubernetes, a limit alone is the request, too. A request alone is the limit, as it is
    // for whole cores.
    let of = |found: &Option<(u64, String)>| found.as_ref().map(|(amount, _)| *amount);
    let amount = Amount { request: of(&asked).or(of(&most))?, limit: of(&most).or(of(&asked))? };
    let whole = amount.limit.div_ceil(unit.whole);
    let all = whole * unit.whole;
    Some(Sized {
        whole,
        exact: (amount != Amount { request: all, limit: all }).then_some(amount),
        decided_by: most.or(asked).map(|(_, pointer)| pointer)?,
    })
}

/// A quantity in smallest parts, rounded up to one as Kubernetes does.
fn read(form: &Fields<'_>, member: &str, unit: Unit) -> Option<u64> {
    let value = form.value(member).filter(|value| value.as_str() != Some(""))?;
    let Some(thousandths) = quantity::read(value) else {
        let example = unit.example;
        let detail = format!("It must be a Kubernetes quantity like {example}.");
        form.mistake(member, "invalid-value", detail);
        return None;
    };
    let parts = u64::try_from(thousandths.div_ceil(unit.part)).unwrap_or(u64::MAX);
    let fits = (unit.least..=unit.most).contains(&parts) || (parts == 0 && unit.zero);
    if !fits {
        let detail = format!("It must be {}.", unit.range);
        form.mistake(member, "out-of-range", detail);
        return None;
    }
    Some(parts)
}

/// Thousandths of a core as Kubernetes writes them.
pub(crate) fn cores_text(millis: u64) -> String {
    if millis.is_multiple_of(1000) { (millis / 1000).to_string() } else { format!("{millis}m") }
}

/// Bytes as Kubernetes writes them, with the largest suffix that keeps them exact.
pub(crate) fn bytes_text(bytes: u64) -> String {
    for (shift, suffix) in [(30, "Gi"), (20, "Mi"), (10, "Ki")] {
        if bytes.is_multiple_of(1 << shift) {
            return format!("{}{suffix}", bytes >> shift);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::reader::Mistakes;
    use super::*;

    /// What is read, and the codes of the mistakes.
    fn check<T>(form: &Value, read: impl Fn(&Fields<'_>) -> T) -> (T, Vec<String>) {
        let mistakes = Mistakes::default();
        let read = read(&Fields::open(form, "", &mistakes).unwrap());
        let errors = mistakes.into_errors().into_iter();
        (read, errors.map(|error| format!("{} {}", error.pointer, error.code)).collect())
    }

    fn cpu_of(form: &Fields<'_>) -> Option<Sized> {
        cpu([Some(("cpuRequest", form)), Some(("cpuLimit", form))])
    }

    fn memory_of(form: &Fields<'_>) -> Option<Sized> {
        memory([Some(("memoryRequest", form)), Some(("memoryLimit", form))])
    }

    #[test]
    fn whole_cores_are_rounded_up_and_fractions_kept() {
        for (request, limit, whole, exact) in [
            ("2", "", 2, None),
            ("2", "2000m", 2, None),
            ("2.0", "", 2, None),
            ("500m", "", 1, Some((500, 500))),
            ("500m", "2", 2, Some((500, 2000))),
            ("", "1500m", 2, Some((1500, 1500))),
            ("100u", "", 1, Some((1, 1))),
            ("1", "4", 4, Some((1000, 4000))),
        ] {
            let form = json!({"cpuRequest": request, "cpuLimit": limit});
            let (found, mistakes) = check(&form, cpu_of);
            let found = found.unwrap();
            let exact = exact.map(|(request, limit)| Amount { request, limit });
            assert_eq!((found.whole, found.exact), (whole, exact), "{form}");
            assert_eq!(mistakes, Vec::<String>::new(), "{form}");
        }
    }

    #[test]
    fn every_suffix_of_memory_is_exact() {
        for (text, whole, bytes) in [
            (json!("4Gi"), 4, None),
            (json!("4096Mi"), 4, None),
            (json!(4_294_967_296_u64), 4, None),
            (json!("1.5Gi"), 2, Some(3 << 29)),
            (json!("4G"), 4, Some(4_000_000_000)),
            (json!("1e9"), 1, Some(1_000_000_000)),
            (json!("512Mi"), 1, Some(512 << 20)),
            (json!("600000k"), 1, Some(600_000_000)),
            (json!("2048Ki"), 1, Some(2048 << 10)),
            (json!("0"), 0, None),
        ] {
            let form = json!({"memoryRequest": text, "storageSize": text});
            let (found, mistakes) = check(&form, memory_of);
            let found = found.unwrap();
            let exact = bytes.map(|bytes| Amount { request: bytes, limit: bytes });
            assert_eq!((found.whole, found.exact), (whole, exact), "{text}");
            assert_eq!(mistakes, Vec::<String>::new(), "{text}");
            assert_eq!(check(&form, volume).0, Some((whole, bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_or_beyond_every_cluster_is_refused() {
        for (value, code) in [
            (json!("four"), "invalid-value"),
            (json!("-1"), "invalid-value"),
            (json!("4 Gi"), "invalid-value"),
            (json!(true), "invalid-value"),
            (json!("4"), "out-of-range"),
            (json!("100Ti"), "out-of-range"),
            (json!("999999999999999Ei"), "out-of-range"),
        ] {
            let (_, mistakes) = check(&json!({"memoryLimit": value}), memory_of);
            assert_eq!(mistakes, [format!("/memoryLimit {code}")], "{value}");
        }
        for text in ["0", "1025", "0m"] {
            let (_, mistakes) = check(&json!({"cpuRequest": text}), cpu_of);
            assert_eq!(mistakes, ["/cpuRequest out-of-range"], "{text}");
        }
        let (_, mistakes) = check(&json!({"cpuRequest": "2", "cpuLimit": "1"}), cpu_of);
        assert_eq!(mistakes, ["/cpuLimit conflict"]);
    }

    #[test]
    fn amounts_are_written_without_loss() {
        for millis in [1, 500, 1000, 1500, 2000] {
            let text = cores_text(millis);
            assert_eq!(quantity::millis(&text), Some(u128::from(millis)), "{text}");
        }
        for (bytes, text) in [
            (4 << 30, "4Gi"),
            (3 << 29, "1536Mi"),
            (4_000_000_000, "3906250Ki"),
            (1_000_000_001, "1000000001"),
        ] {
            assert_eq!(bytes_text(bytes), text);
            assert_eq!(quantity::millis(text), Some(u128::from(bytes) * 1000));
        }
    }
}
