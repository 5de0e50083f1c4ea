//! KTAP, version 1: what kernel CI reads (Documentation/dev-tools/ktap.rst).

use refolio_conformance::event::{Answer, Judged};

use crate::cmd::conform::told::Run;

/// The run as KTAP, line by line.
pub fn lines(run: &Run) -> Vec<String> {
    let mut lines = vec!["KTAP version 1".into(), format!("1..{}", run.cases.len())];
    for (number, told) in (1..).zip(&run.cases) {
        let name = &told.case.case;
        let Some(judged) = &told.judged else {
            lines.push(format!("not ok {number} {name} # it did not come to its end"));
            continue;
        };
        lines.extend(
            judged.failures.iter().map(|f| one_line(&format!("# {}: {}", f.wrong, f.detail))),
        );
        lines.push(result(number, name, judged));
    }
    lines
}

fn result(number: usize, name: &str, judged: &Judged) -> String {
    let reason = one_line(judged.reason.as_deref().unwrap_or_default());
    match judged.verdict {
        Answer::Pass => format!("ok {number} {name}"),
        Answer::Fail => format!("not ok {number} {name}"),
        Answer::Skip => format!("ok {number} {name} # SKIP {reason}"),
        Answer::ExpectedFailure => format!("not ok {number} {name} # XFAIL {reason}"),
        // The format has no word for it, and nobody may miss it.
        Answer::UnexpectedPass => format!("not ok {number} {name} # passed, despite: {reason}"),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
