//! Kubernetes quantities, as far as a ceiling needs them: exact for what plugins write, rounded up
//! otherwise, so that a ceiling is never passed by rounding.

/// Thousandths of the unit: `"4"` is 4000, `"500m"` is 500, `"16Gi"` is 16 · 2³⁰ · 1000.
/// `None` if the text is not a quantity.
pub(super) fn millis(text: &str) -> Option<u128> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let factor: u128 = match suffix {
        "" => 1000,
        "m" => 1,
        "k" => 1000 * 1000,
        "M" => 1000 * 1000_u128.pow(2),
        "G" => 1000 * 1000_u128.pow(3),
        "T" => 1000 * 1000_u128.pow(4),
        "Ki" => 1000 << 10,
        "Mi" => 1000 << 20,
        "Gi" => 1000 << 30,
        "Ti" => 1000 << 40,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > 9 || whole.len() > 15 {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole * factor;
    if !fraction.is_empty() {
        let digits: u128 = fraction.parse().ok()?;
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        total += (digits * factor).div_ceil(scale);
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::millis;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        for (text, expected) in [
            ("4", 4000),
            ("0", 0),
            ("500m", 500),
            ("0.5", 500),
            ("1.5", 1500),
            ("1k", 1_000_000),
            ("1Ki", 1_024_000),
            ("16Gi", (16_u128 << 30) * 1000),
        ] {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
        for text in ["", ".", "x", "-1", "1 Gi", "1e3", "Gi", "1..2", "99999999999999999999"] {
            assert_eq!(millis(text), None, "{text}");
        }
    }
}
