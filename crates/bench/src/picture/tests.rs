//! Pictures say what was measured, and are well formed.

use super::*;
use crate::noise::Spread;
use crate::results::{Better, Goal, Group, Line, Must, Results};

fn results() -> Results {
    let line = |name: &str, role, figures: [f64; 3], of_limit| Line {
        name: name.into(),
        role,
        spread: Spread::of(figures),
        of_limit,
        of_refolio: None,
        rejected: 1,
        disturbed: 0,
    };
    let goal = Goal {
        what: "reads".into(),
        must: Must::AtMost(1.6),
        reached: Some(2.0),
        met: Some(false),
    };
    Results {
        suite: "hit",
        about: "pages < all & \"more\"".into(),
        complete: true,
        groups: vec![Group {
            title: "64 bytes".into(),
            unit: "ns",
            better: Better::Less,
            lines: vec![
                line("bare", Role::Limit, [20.0, 21.0, 22.0], None),
                line("Refolio", Role::Refolio, [40.0, 42.0, 44.0], Some(2.0)),
                line("never", Role::Peer, [0.0, 0.0, 0.0], None),
            ],
            goals: vec![goal],
        }],
        notes: vec!["a <note>".into()],
    }
}

/// Each element that is opened is closed, by its name.
fn is_well_formed(text: &str) -> bool {
    let mut open = Vec::new();
    for tag in text.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        let name: &str = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        match tag {
            _ if tag.starts_with(['!', '?']) || ["meta"].contains(&name) || tag.ends_with('/') => {}
            _ if tag.starts_with('/') => {
                if open.pop() != Some(name) {
                    return false;
                }
            }
            _ => open.push(name),
        }
    }
    open.is_empty()
}

#[test]
fn a_drawing_has_every_line_its_figure_and_the_goal() {
    let svg = draw(&results());
    assert!(is_well_formed(&svg), "{svg}");
    for wanted in ["bare", "Refolio", "never", "42.0", "MISSED", "&lt; all &amp; &quot;more"] {
        assert!(svg.contains(wanted), "{wanted} is missing:\n{svg}");
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
}

#[test]
fn a_page_has_all_suites_and_their_text() {
    let html = page("Bench", &[results()]);
    assert!(is_well_formed(&html), "{html}");
    assert!(html.contains("id=\"hit\"") && html.contains("a &lt;note&gt;"), "{html}");
    assert!(html.contains("what must be reached\n"), "{html}");
}

#[test]
fn what_is_twice_as_much_is_always_as_far_away() {
    let scale = scale::Scale::new([10.0, 1000.0].into_iter(), 400.0);
    let step = |from: f64| scale.at(2.0 * from) - scale.at(from);
    assert!((step(10.0) - step(300.0)).abs() < 1e-6);
    assert!(scale.ticks().contains(&100.0));
    // One figure alone, and none at all, are figures, too.
    for figures in [vec![5.0], vec![], vec![0.0]] {
        let scale = scale::Scale::new(figures.into_iter(), 400.0);
        assert!((0.0..=400.0).contains(&scale.at(5.0)));
    }
}
