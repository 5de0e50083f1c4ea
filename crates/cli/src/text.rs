//! Text in columns, and times for people.

use std::time::Duration;

/// Lines are no longer than this.
pub const COLUMNS: usize = 100;

/// Breaks text between words into lines of at most [`COLUMNS`], each after `indent` blanks.
pub fn wrap(text: &str, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let longer = line.chars().count() + 1 + word.chars().count() > COLUMNS - indent;
        if !line.is_empty() && longer {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.into_iter().map(|line| format!("{:indent$}{line}", "")).collect()
}

/// Reads a time such as `90s`, `10m` or `1h`; the error is one line that says what was expected.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a time such as 90s, 10m or 1h, not '{text}'");
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(expected()),
    };
    // A year is more than anybody waits, and fits into every count of nanoseconds.
    let seconds = number.parse::<u64>().map_err(|_| expected())?.saturating_mul(seconds);
    match seconds {
        0 => Err("a time of 0 is over before it begins".into()),
        1..=31_536_000 => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("'{text}' is more than a year")),
    }
}

/// A time for people: `799 ns`, `1.4 ms`; `-` for none.
pub fn time(ns: u64) -> String {
    match ns {
        0 => "-".into(),
        1..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} us", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        _ => format!("{:.2} s", ns as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let seconds = |text| parse_time(text).map(|time| time.as_secs());
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds(" 10m"), Ok(600));
        assert_eq!(seconds("1h"), Ok(3600));
        assert_eq!(seconds("8760h"), Ok(31_536_000));
        for wrong in ["", "h", "1", "1.5h", "-1s", "1d", "1h30m", "99999999999999999999s"] {
            assert!(seconds(wrong).unwrap_err().contains("such as 90s"), "{wrong}");
        }
        assert!(seconds("0m").unwrap_err().contains("over before it begins"));
        assert!(seconds("8761h").unwrap_err().contains("more than a year"));
    }

    #[test]
    fn no_word_is_lost_and_no_line_too_long() {
        let text = "some words and again ".repeat(40);
        let lines = wrap(&text, 4);
        assert!(
            lines.iter().all(|line| line.len() <= COLUMNS && line.starts_with("    s")
                || line.starts_with("    "))
        );
        assert!(lines.len() > 8);
        let words = |text: &str| text.split_whitespace().map(String::from).collect::<Vec<_>>();
        assert_eq!(words(&lines.join("\n")), words(&text));
        let long = "x".repeat(200);
        assert_eq!(wrap(&long, 0), [long]);
    }
}
