//! Numbers as training scripts expect them in environment variables.

use std::fmt::Write as _;

/// Digits that `%.10g` keeps.
const DIGITS: i32 = 10;

/// Appends `value` as C's `%.10g`: ten significant digits, no trailing zeros, an exponent of at
/// least two digits below 1e-4 and from 1e10 on. JSON has neither infinities nor NaN; they print
/// as Rust prints them.
pub fn push_g10(out: &mut String, value: f64) {
    // Nearly every parameter is a small whole number. -0 is not: it keeps its sign below.
    if value.abs() < 1e10 && value.fract() == 0.0 && (value != 0.0 || value.is_sign_positive()) {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and far below 2^53")]
        push_integer(out, value as i64);
        return;
    }
    if let Some((whole, millionths)) = short_decimal(value) {
        push_integer(out, whole);
        let _ = write!(out, ".{millionths:06}");
        out.truncate(out.trim_end_matches('0').len());
        return;
    }
    let start = out.len();
    // Rust rounds the exact decimal expansion half to even, as C does.
    if write!(out, "{value:.9e}").is_err() || !value.is_finite() {
        return;
    }
    let scientific = out.split_off(start);
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_end_matches('0');
    out.push_str(sign);
    if digits.is_empty() {
        out.push('0');
    } else if (-4..DIGITS).contains(&exponent) {
        push_fixed(out, digits, exponent);
    } else {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{first}{point}{rest}e{sign}{:02}", exponent.abs());
    }
}

/// The whole and the fractional part, in millionths, of a number that is the nearest to a decimal
/// of at most ten digits, six of them after the point: 0.3, 0.05, 1.5. Nearly every fraction that
/// people write is one. Division rounds correctly, so equality proves that the decimal is right.
fn short_decimal(value: f64) -> Option<(i64, i64)> {
    if !(1e-4..1e4).contains(&value) {
        return None;
    }
    let millionths = (value * 1e6).round();
    #[expect(clippy::float_cmp, reason = "only the very number will do")]
    let is_exact = millionths / 1e6 == value;
    #[expect(clippy::cast_possible_truncation, reason = "whole, and at most 1e10")]
    let millionths = millionths as i64;
    is_exact.then_some((millionths / 1_000_000, millionths % 1_000_000))
}

/// Appends a whole number.
pub fn push_integer(out: &mut String, value: i64) {
    let _ = write!(out, "{value}");
}

/// `digits` have their decimal point after the first digit, moved by `exponent`.
fn push_fixed(out: &mut String, digits: &str, exponent: i32) {
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or_default());
    let whole = usize::try_from(exponent + 1).unwrap_or_default();
    if exponent < 0 {
        out.push_str("0.");
        out.push_str(&zeros(-exponent - 1));
        out.push_str(digits);
    } else if let Some((integer, fraction)) = digits.split_at_checked(whole)
        && !fraction.is_empty()
    {
        out.push_str(integer);
        out.push('.');
        out.push_str(fraction);
    } else {
        out.push_str(digits);
        out.push_str(&zeros(exponent + 1 - i32::try_from(digits.len()).unwrap_or_default()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn g10(value: f64) -> String {
        let mut out = String::from("x=");
        push_g10(&mut out, value);
        out.split_off(2)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "lengths of at most 1 400 digits"
    )]
    /// `%.10g` from the exact decimal expansion, digit by digit, rounding half to even by hand.
    fn slow_g10(value: f64) -> String {
        let sign = if value.is_sign_negative() { "-" } else { "" };
        // Every finite double is exact within 1 074 decimal places.
        let exact = format!("{:.1074}", value.abs());
        let (integer, fraction) = exact.split_once('.').unwrap();
        let all: Vec<u8> = integer.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
        let Some(first) = all.iter().position(|&d| d != 0) else { return format!("{sign}0") };
        let mut exponent = integer.len() as i32 - 1 - first as i32;
        let mut kept: Vec<u8> = all[first..].iter().copied().take(10).collect();
        kept.resize(10, 0);
        let rest = all.get(first + 10..).unwrap_or(&[]);
        let half = rest.first().copied().unwrap_or(0);
        let beyond = rest.iter().skip(1).any(|&d| d != 0);
        if half > 5 || (half == 5 && (beyond || kept[9] % 2 == 1)) {
            let mut i = 10;
            loop {
                if i == 0 {
                    kept.insert(0, 1);
                    kept.pop();
                    exponent += 1;
                    break;
                }
                i -= 1;
                if kept[i] == 9 {
                    kept[i] = 0;
                } else {
                    kept[i] += 1;
                    break;
                }
            }
        }
        while kept.len() > 1 && kept.last() == Some(&0) {
            kept.pop();
        }
        let digit = |position: i32| -> char {
            let index = exponent - position;
            let d = usize::try_from(index).ok().and_then(|i| kept.get(i)).copied().unwrap_or(0);
            char::from(b'0' + d)
        };
        let lowest = exponent - (kept.len() as i32 - 1);
        let mut out = String::from(sign);
        if !(-4..10).contains(&exponent) {
            out.push(digit(exponent));
            if kept.len() > 1 {
                out.push('.');
                out.extend((lowest..exponent).rev().map(digit));
            }
            let e = if exponent < 0 { '-' } else { '+' };
            return format!("{out}e{e}{:02}", exponent.abs());
        }
        out.extend((0..=exponent.max(0)).rev().map(digit));
        if lowest < 0 {
            out.push('.');
            out.extend((lowest..0).rev().map(digit));
        }
        out
    }

    #[test]
    fn prints_the_predecessors_vectors() {
        for (value, expected) in [
            (0.3, "0.3"),
            (1.0, "1"),
            (0.0, "0"),
            (-0.0, "-0"),
            (1e-5, "1e-05"),
            (1e-4, "0.0001"),
            (123_456_789_012.0, "1.23456789e+11"),
            (0.123_456_789_012_3, "0.123456789"),
            (1e21, "1e+21"),
            (1_000_000.0, "1000000"),
            (9_999_999_999.0, "9999999999"),
            (1e10, "1e+10"),
            (9_999_999_999.5, "1e+10"),
            (1e100, "1e+100"),
            (-2.5e-7, "-2.5e-07"),
            (0.000_099_999_999_999, "0.0001"),
            (5e-324, "4.940656458e-324"),
            (f64::MAX, "1.797693135e+308"),
            (1024.5, "1024.5"),
        ] {
            assert_eq!(g10(value), expected);
            assert_eq!(slow_g10(value), expected);
        }
    }

    proptest! {
        #[test]
        fn equals_the_slow_reference(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(g10(value), slow_g10(value));
        }

        #[test]
        fn equals_the_slow_reference_for_everyday_numbers(n in -1_000_000_000_000_i64..1_000_000_000_000, scale in 0..16) {
            let value = n as f64 / 10_f64.powi(scale);
            prop_assert_eq!(g10(value), slow_g10(value));
        }
    }
}
