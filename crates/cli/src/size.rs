//! Sizes as people write them, in and out.
//!
//! `K`, `M`, `G`, `T` and `KiB` … `TiB` are powers of 1024, as `dd` and `fio` read them; `KB` …
//! `TB` are powers of 1000, as `dd` reads those. Case does not matter; a bare number is bytes.

/// Reads a size in bytes; the error is one line that says what was expected.
pub fn parse(text: &str) -> Result<u64, String> {
    let expected = || format!("expected a size such as 64M, 64MiB or 1.5GiB, not '{text}'");
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let number: f64 = number.parse().map_err(|_| expected())?;
    let unit = unit.trim().to_ascii_lowercase();
    let power = match unit.chars().next() {
        None | Some('b') => 0,
        Some(letter) => "kmgt".find(letter).ok_or_else(expected)? as i32 + 1,
    };
    let base: f64 = match unit.get(1..).unwrap_or("") {
        "" | "ib" => 1024.0,
        "b" if power > 0 => 1000.0,
        _ => return Err(expected()),
    };
    let bytes = number * base.powi(power);
    // Up to 2^53 a double holds every byte count exactly.
    if bytes > (1u64 << 53) as f64 {
        return Err(format!("'{text}' is more than any machine has"));
    }
    Ok(bytes as u64)
}

/// Reads a size that is not nothing.
pub fn parse_some(text: &str) -> Result<u64, String> {
    match parse(text)? {
        0 => Err("a size of 0 holds nothing".into()),
        bytes => Ok(bytes),
    }
}

/// A size for people: `256 MiB`, `1.5 GiB`, `300 bytes`.
pub fn show(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(shift, _)| bytes >= 1 << shift) {
        None => format!("{bytes} bytes"),
        Some((shift, unit)) if bytes.is_multiple_of(1 << shift) => {
            format!("{} {unit}", bytes >> shift)
        }
        Some((shift, unit)) => format!("{:.1} {unit}", bytes as f64 / (1u64 << shift) as f64),
    }
}

/// A count for people: `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_people_write_them() {
        for (text, bytes) in [
            ("4096", 4096),
            ("1k", 1 << 10),
            ("64M", 64 << 20),
            ("64MiB", 64 << 20),
            ("64 mib", 64 << 20),
            ("1.5GiB", 3 << 29),
            ("2T", 2 << 40),
            ("1MB", 1_000_000),
            ("512b", 512),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "-1", "1X", "1MiX", "1.2.3M", "1bb", "1e9", "99999999T", "64 M iB"] {
            assert!(parse(text).is_err(), "{text} was taken for a size");
        }
        assert!(parse_some("0M").is_err());
    }

    #[test]
    fn sizes_and_counts_for_people() {
        assert_eq!(show(256 << 20), "256 MiB");
        assert_eq!(show(1_600_000), "1.5 MiB");
        assert_eq!(show(17), "17 bytes");
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
    }
}
