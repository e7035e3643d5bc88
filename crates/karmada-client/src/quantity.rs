//! Kubernetes quantities of a cluster's resource summary. Written by hand because the libraries
//! that exist cut fractions off (`1.5Gi`) or overflow.

/// Thousandths of the unit, rounded down: `"4"` is 4000, `"500m"` is 500, `"1Ki"` is 1 024 000.
/// `None` if the text is not a quantity or is negative.
pub(crate) fn millis(text: &str) -> Option<u128> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(split)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let below = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    // In billionths, so that every suffix is a whole number: `n` is 1.
    let factor = factor(suffix)?;
    Some(digits.checked_mul(factor)? / below / 1_000_000)
}

/// Billionths of the unit that one of `suffix` stands for.
fn factor(suffix: &str) -> Option<u128> {
    const UNIT: u128 = 1_000_000_000;
    let power = |base: u128, exponent: u32| base.checked_pow(exponent)?.checked_mul(UNIT);
    match suffix {
        "" => Some(UNIT),
        "n" => Some(1),
        "u" => Some(1000),
        "m" => Some(1_000_000),
        "k" => power(1000, 1),
        "M" => power(1000, 2),
        "G" => power(1000, 3),
        "T" => power(1000, 4),
        "P" => power(1000, 5),
        "E" => power(1000, 6),
        "Ki" => power(1024, 1),
        "Mi" => power(1024, 2),
        "Gi" => power(1024, 3),
        "Ti" => power(1024, 4),
        "Pi" => power(1024, 5),
        "Ei" => power(1024, 6),
        exponent => power(10, exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    }
}

#[cfg(test)]
mod tests {
    use super::millis;

    #[test]
    fn quantities_are_read_as_the_api_server_writes_them() {
        for (text, expected) in [
            ("0", 0),
            ("4", 4000),
            ("500m", 500),
            ("0.5", 500),
            (".5", 500),
            ("7910m", 7910),
            ("1500u", 1),
            ("999999n", 0),
            ("1k", 1_000_000),
            ("1e3", 1_000_000),
            ("1Ki", 1_024_000),
            ("1.5Gi", 3 * (1_u128 << 29) * 1000),
            ("512Ei", (512_u128 << 60) * 1000),
        ] {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_text_is_not_a_quantity() {
        for text in ["", ".", "x", "-1", "1 Gi", "Gi", "1..2", "1e-3", "1e99", "é", "1é"] {
            assert_eq!(millis(text), None, "{text}");
        }
    }
}
