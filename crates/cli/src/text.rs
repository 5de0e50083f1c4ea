//! Text in columns, and times for people.

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
