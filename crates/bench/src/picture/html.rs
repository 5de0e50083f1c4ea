//! Suites on one page of HTML, which needs nothing else.

use super::{escaped, svg};
use crate::results::Results;
use crate::table;

const STYLE: &str = "\
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
svg { max-width: 100%; height: auto; border-radius: 6px }
section { margin: 2.5rem 0 } pre { font-size: 12px; overflow-x: auto }
";

const HOW_TO_READ: &str = "\
What stands together took turns within seconds, on one machine. A ratio is the median of the ratios \
of what was measured in turn, and so not always that of the medians. Disturbed measurements were made \
again.";

/// A page with these suites: the drawing, the notes, and the figures as text.
pub fn page(title: &str, suites: &[Results]) -> String {
    let title = escaped(title);
    let (mut contents, mut sections) = (String::new(), String::new());
    for results in suites {
        let name = results.suite;
        contents +=
            &format!("<li><a href=\"#{name}\">{name}</a>: {}</li>\n", escaped(&results.about));
        let notes: String =
            results.notes.iter().map(|note| format!("<li>{}</li>\n", escaped(note))).collect();
        sections += &format!(
            "<section id=\"{name}\">\n{}<ul>\n{notes}</ul>\n<details><summary>as text</summary>\
             <pre>{}</pre></details>\n</section>\n",
            svg::draw(results),
            escaped_text(&table::plain(results)),
        );
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{HOW_TO_READ}</p>\n\
         <ul>\n{contents}</ul>\n{sections}</body>\n</html>\n"
    )
}

/// Lines stay lines.
fn escaped_text(text: &str) -> String {
    text.lines().map(|line| escaped(line) + "\n").collect()
}
