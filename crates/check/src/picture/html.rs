//! Pictures on one page of HTML, which needs nothing else.

use super::{Picture, svg};

const STYLE: &str = "\
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
svg { max-width: 100%; height: auto; border-radius: 6px }
section { margin: 2.5rem 0 } li span { opacity: .65 }
code { overflow-wrap: anywhere }
";

const HOW_TO_READ: &str = "\
Each column is a thread, each line a step, in the order of time. A dashed arrow is a preemption: \
the thread could have gone on, and another one did. The step that breaks the rule is the last one.";

/// A page with these pictures, each under a name for links, and a table of them.
pub fn page(title: &str, pictures: &[(String, Picture)]) -> String {
    let title = svg::escaped(title);
    let mut contents = String::new();
    let mut sections = String::new();
    for (name, picture) in pictures {
        let id = name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
        let [heading, verdict, replay] =
            [&picture.title, &picture.verdict(), &picture.replay].map(|text| svg::escaped(text));
        contents += &format!("<li><a href=\"#{id}\">{heading}</a> <span>{verdict}</span></li>\n");
        sections += &format!(
            "<section id=\"{id}\">\n<h2>{heading}</h2>\n<p>Again: \
             <code>{replay}</code></p>\n{}</section>\n",
            svg::draw(picture)
        );
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{HOW_TO_READ}</p>\n\
         <ol>\n{contents}</ol>\n{sections}</body>\n</html>\n"
    )
}
