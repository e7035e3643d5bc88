//! Kubernetes quantities: exact where a thousandth of the unit can hold them, rounded up otherwise,
//! so that a ceiling is never passed by rounding.

use serde_json::Value;

/// Most digits on either side of the point. With the largest factor (`Ei`, 2⁶⁰ · 1000) a number
/// stays below 2¹²⁸.
const MOST_DIGITS: usize = 15;

/// The quantity of a JSON value, which may be a text or a number.
pub(crate) fn read(value: &Value) -> Option<u128> {
    match value {
        Value::String(text) => millis(text),
        Value::Number(number) => millis(&number.to_string()),
        _ => None,
    }
}

/// Thousandths of the unit: `"4"` is 4000, `"500m"` is 500, `"16Gi"` is 16 · 2³⁰ · 1000.
/// `None` if the text is not a quantity, is negative, or is beyond what any cluster has.
pub(crate) fn millis(text: &str) -> Option<u128> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let (multiplier, divisor) = factor(suffix)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    if whole.len() > MOST_DIGITS || fraction.len() > MOST_DIGITS {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    Some(digits.checked_mul(multiplier)?.div_ceil(scale.checked_mul(divisor)?))
}

/// What a suffix multiplies thousandths by, as a fraction.
fn factor(suffix: &str) -> Option<(u128, u128)> {
    let decimal = |exponent: u32| Some((1000 * 10_u128.checked_pow(exponent)?, 1));
    let binary = |exponent: u32| Some((1000_u128 << exponent, 1));
    match suffix {
        "n" => Some((1, 1_000_000)),
        "u" => Some((1, 1000)),
        "m" => Some((1, 1)),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            match exponent.strip_prefix('-') {
                None => {
                    let exponent = exponent.strip_prefix('+').unwrap_or(exponent);
                    decimal(digits(exponent)?)
                }
                Some(exponent) => Some((1000, 10_u128.checked_pow(digits(exponent)?)?)),
            }
        }
    }
}

/// A decimal exponent as far as quantities reach.
fn digits(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten().filter(|exponent| *exponent <= 18)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{millis, read};

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        for (text, expected) in [
            ("4", 4000),
            ("0", 0),
            ("500m", 500),
            ("0.5", 500),
            (".5", 500),
            ("5.", 5000),
            ("1.5", 1500),
            ("1k", 1_000_000),
            ("1Ki", 1_024_000),
            ("1e3", 1_000_000),
            ("1E3", 1_000_000),
            ("1e+1", 10_000),
            ("1500e-3", 1500),
            ("1n", 1),
            ("1000001n", 2),
            ("1u", 1),
            ("0.0001", 1),
            ("16Gi", (16_u128 << 30) * 1000),
            ("2E", 2 * 1000 * 10_u128.pow(18)),
            ("999999999999999Ei", 999_999_999_999_999 * (1000_u128 << 60)),
        ] {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
        for text in [
            "",
            ".",
            "x",
            "-1",
            "1 Gi",
            "Gi",
            "1..2",
            "1.2.3",
            "99999999999999999999",
            "1e",
            "1e99",
            "1e-",
            "1gi",
            "1K",
            "1e1.5",
            "0x10",
            "١",
            "1e-99",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
        assert_eq!(read(&json!(4)), Some(4000));
        assert_eq!(read(&json!(0.25)), Some(250));
        for odd in [json!(-1), json!(true), json!(null), json!([]), json!(1e300)] {
            assert_eq!(read(&odd), None, "{odd}");
        }
    }
}
