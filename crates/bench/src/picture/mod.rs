//! What was measured, as pictures that need nothing else: a drawing for each suite, and a page of
//! all of them. They go with light and with dark, by the wish of whoever looks at them.

mod html;
mod scale;
mod svg;

pub use html::page;
pub use svg::draw;

use crate::results::Role;

/// The class of what has this role, in the drawing's style.
fn class(role: Role) -> &'static str {
    match role {
        Role::Limit => "limit",
        Role::Refolio => "refolio",
        Role::Peer => "peer",
        Role::Other => "other",
    }
}

/// As the content of an element, or of an attribute.
fn escaped(text: &str) -> String {
    let escape = |letter| match letter {
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        '&' => "&amp;".into(),
        '"' => "&quot;".into(),
        other if other < ' ' => " ".into(),
        other => String::from(other),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests;
