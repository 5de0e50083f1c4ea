//! JUnit's XML: what most build servers read.

use std::fmt::Write;

use refolio_conformance::event::{Answer, Judged};

use crate::cmd::conform::told::Run;

/// The run as a document.
pub fn document(run: &Run) -> String {
    let count = run.count();
    let unended = run.running().count() as u64;
    let name = run.start.as_ref().map_or("refolio", |start| &start.subject);
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "<testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{unended}\" \
         skipped=\"{}\" time=\"{:.3}\">",
        escape(name),
        run.cases.len(),
        count.fail + count.unexpected_pass,
        count.skip + count.expected_failure,
        seconds(count.at_ms),
    );
    for told in &run.cases {
        let elapsed = told.judged.as_ref().map_or(0, |judged| judged.elapsed_ms);
        let _ = writeln!(
            text,
            "  <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\">",
            escape(&told.case.row),
            escape(&told.case.case),
            seconds(elapsed)
        );
        match &told.judged {
            Some(judged) => verdict(&mut text, judged),
            None => text.push_str("    <error message=\"it did not come to its end\"/>\n"),
        }
        let notes: Vec<_> = told.notes.iter().map(|note| escape(&note.text)).collect();
        if !notes.is_empty() {
            let _ = writeln!(text, "    <system-out>{}</system-out>", notes.join("\n"));
        }
        text.push_str("  </testcase>\n");
    }
    text.push_str("</testsuite>\n");
    text
}

fn verdict(text: &mut String, judged: &Judged) {
    let reason = escape(judged.reason.as_deref().unwrap_or_default());
    let _ = match judged.verdict {
        Answer::Pass => Ok(()),
        Answer::Skip => writeln!(text, "    <skipped message=\"{reason}\"/>"),
        Answer::ExpectedFailure => {
            writeln!(text, "    <skipped message=\"expected failure: {reason}\"/>")
        }
        Answer::UnexpectedPass => {
            writeln!(text, "    <failure message=\"passed, despite: {reason}\"/>")
        }
        Answer::Fail => judged.failures.iter().try_for_each(|failure| {
            let (wrong, detail) = (escape(&failure.wrong), escape(&failure.detail));
            writeln!(text, "    <failure type=\"{wrong}\" message=\"{detail}\"/>")
        }),
    };
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// Text that may stand between tags and in attributes, of XML and of HTML.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(char),
            // Not even escaped may they stand in XML.
            control if control.is_control() => escaped.push('\u{FFFD}'),
            char => escaped.push(char),
        }
    }
    escaped
}
