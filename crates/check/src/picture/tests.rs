use std::panic::Location;

use refolio_explore::{Event, Told, Trace};

use super::{Picture, html, svg, text};

/// A trace of two threads, thread by thread as they are written down.
#[derive(Default)]
struct Story(Trace);

impl Story {
    fn new() -> Self {
        Self(Trace { threads: 2, ..Trace::default() })
    }

    #[track_caller]
    fn told(mut self, thread: usize, told: Told, used: Option<(usize, bool)>) -> Self {
        let at = Location::caller();
        self.0.events.push(Event { thread, told, used, at, preempts: false });
        self
    }

    /// A look at an object, whose number is the length of its name.
    fn sees(self, thread: usize, name: &str, what: &str) -> Self {
        let told = Told::Operation(name.into(), what.into());
        self.told(thread, told, Some((name.len(), false)))
    }

    fn does(self, thread: usize, name: &str, what: &str) -> Self {
        let told = Told::Operation(name.into(), what.into());
        self.told(thread, told, Some((name.len(), true)))
    }

    fn says(self, thread: usize, what: &str) -> Self {
        self.told(thread, Told::Narration(what.into()), None)
    }

    /// What was told last preempts the thread before it.
    fn preempting(mut self) -> Self {
        self.0.events.last_mut().unwrap().preempts = true;
        self.0.preemptions += 1;
        self
    }

    fn picture(mut self) -> Picture {
        self.0.violation = Some("a strange page".into());
        let mut picture = Picture::of(&self.0, "a story", &["lookup", "migrate"], "0x1.1x2".into());
        for line in &mut picture.lines {
            line.at = "state.rs:7".into(); // Where this file stands is no part of the tests.
        }
        picture
    }

    fn texts(self) -> Vec<String> {
        self.picture().lines.into_iter().map(|line| line.text).collect()
    }
}

fn race() -> Story {
    Story::new()
        .says(1, "switch")
        .does(1, "folio 0", "freeze 2→0")
        .sees(0, "slot 0", "folio 0")
        .preempting()
        .does(1, "slot 0", "folio 0 → folio 4")
        .preempting()
        .does(1, "folio 0", "unfreeze 0→1")
        .does(0, "folio 0", "get 1→2")
}

#[test]
fn a_race_is_drawn_as_text() {
    let expected = "\
a story (6 lines for 6 steps, 2 preemptions)
    lookup                       │ migrate
─────────────────────────────────┼──────────────────────────────
  1                              │ ▸ switch
  2                              │ folio 0: freeze 2→0
    ◀╌╌╌╌╌╌╌╌╌ preempted ╌╌╌╌╌╌╌╌╌╌┘
  3 slot 0: folio 0              │
    └╌╌╌╌╌╌╌╌╌ preempted ╌╌╌╌╌╌╌╌╌╌▶
  4                              │ slot 0: folio 0 → folio 4
  5                              │ folio 0: unfreeze 0→1
  6 folio 0: get 1→2             │
─────────────────────────────────┴──────────────────────────────
✗ a strange page
↻ 0x1.1x2
";
    let drawn = text::draw(&race().picture(), 64, false);
    assert_eq!(drawn, expected, "\n{drawn}");
}

#[test]
fn no_line_is_wider_than_it_may_be_but_the_one_that_is_copied() {
    let mut picture = race().picture();
    picture.rule = "a very long rule ".repeat(20);
    picture.lines[2].text = "a long way to say it ".repeat(20);
    for width in [40, 80, 120, 200] {
        let drawn = text::draw(&picture, width, false);
        let widest = drawn.lines().filter(|line| !line.starts_with('↻'));
        let widest = widest.map(|line| line.chars().count()).max();
        assert!(widest <= Some(width), "{widest:?} of {width}:\n{drawn}");
        assert_eq!(drawn.contains("state.rs:7"), width >= 100, "{drawn}");
        assert!(drawn.contains('…'), "{drawn}");
    }
    assert!(text::draw(&picture, 80, true).contains("\x1b["));
}

#[test]
fn what_a_thread_knows_already_is_left_out() {
    let texts = Story::new()
        .sees(0, "slot 0", "folio 0")
        .sees(0, "slot 0", "folio 0")
        .sees(0, "folio 0", "1 ref")
        .sees(0, "slot 0", "folio 0")
        .does(1, "slot 0", "folio 0 → folio 4")
        .sees(1, "slot 0", "folio 4")
        .sees(0, "slot 0", "folio 4")
        .does(1, "lru of node 0", "lock")
        .says(1, "moved")
        .texts();
    let told = ["slot 0: folio 0 (2 times)", "folio 0: 1 ref", "slot 0: folio 0 → folio 4"];
    assert_eq!(texts, [&told[..], &["slot 0: folio 4", "moved"]].concat());
}

#[test]
fn words_that_are_copied_are_one_line() {
    let copy =
        |story: Story| story.sees(0, "frame 0", "bytes 10").does(0, "frame 40", "bytes 00 → 10");
    let texts = copy(copy(Story::new())).says(1, "moved").texts();
    assert_eq!(texts, ["frame 40: 2 words copied from frame 0 (10)", "moved"]);
}

#[test]
fn a_loop_is_told_once() {
    let mut story = Story::new().says(1, "moved");
    for _ in 0..1000 {
        story = story.does(0, "a", "set").does(0, "bb", "clear").does(0, "ccc", "add");
    }
    assert_eq!(
        story.texts(),
        ["moved", "a: set", "bb: clear", "ccc: add", "and so on, 1000 times"]
    );
}

#[test]
fn a_lock_under_which_nothing_is_done_is_left_out() {
    let texts = Story::new()
        .does(0, "i_pages", "lock")
        .does(0, "i_pages", "unlock")
        .does(1, "i_pages", "lock")
        .does(1, "slot 0", "empty → folio 4")
        .does(1, "i_pages", "unlock")
        .says(1, "moved")
        .texts();
    assert_eq!(texts, ["lock i_pages", "slot 0: empty → folio 4", "unlock i_pages", "moved"]);
}

#[test]
fn a_long_story_fits_on_a_screen_and_keeps_its_end() {
    let mut story = Story::new();
    for n in 0..200 {
        let own = "x".repeat(100 + n);
        story = story.does(1, &own, "set").does(n % 2, "slot 0", &format!("folio {n}"));
    }
    let picture = story.picture();
    let drawn = text::draw(&picture, 120, false);
    assert!(drawn.lines().count() <= 44, "{drawn}");
    assert!(!drawn.contains("xxx"), "{drawn}");
    assert!(drawn.contains("lines are left out"), "{drawn}");
    assert_eq!(picture.lines.last().unwrap().text, "slot 0: folio 199");
}

#[test]
fn a_failed_assertion_is_a_rule() {
    let said = "assertion `left == right` failed: a page moved\n  left: Some(4)\n right: Some(0)";
    assert_eq!(super::rule(said), "a page moved (left: Some(4), right: Some(0))");
    let said = "a strange page: [10, 10, 10, 11], not one of [10]";
    assert_eq!(super::rule(said), "a strange page: [3 × 10, 11], not one of [10]");
}

#[test]
fn drawings_are_well_formed() {
    let mut picture = race().picture();
    picture.title = "a < b & \"c\" > d".into();
    picture.lines[0].text = "<script>".into();
    let drawing = svg::draw(&picture);
    is_well_formed(&drawing);
    assert!(drawing.contains("&lt;script&gt;") && !drawing.contains("<script>"), "{drawing}");
    let page = html::page("Counterexamples", &[("one".into(), picture)]);
    assert!(page.contains("<a href=\"#one\">a &lt; b &amp; "), "{page}");
    assert!(!page.contains("<script>"), "{page}");
}

/// Every element is closed, in the order of opening; every `&` begins an entity.
fn is_well_formed(xml: &str) {
    let mut open = Vec::new();
    let mut rest = xml;
    while let Some((text, tag)) = rest.split_once('<') {
        for entity in text.split('&').skip(1) {
            let known = ["lt;", "gt;", "amp;", "quot;"];
            assert!(known.iter().any(|name| entity.starts_with(name)), "&{entity}");
        }
        let (tag, after) = tag.split_once('>').expect("a tag ends");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.trim_start_matches('/').split_whitespace().next().unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        rest = after;
    }
    assert_eq!((open.len(), rest.trim()), (0, ""));
}

#[test]
fn what_failed_is_told_by_the_words_that_follow() {
    let texts = Story::new()
        .does(1, "folio 0", "get 2→3")
        .sees(0, "folio 0", "refused: 3 refs")
        .says(0, "freeze 2→0 fails: 3 references")
        .texts();
    assert_eq!(texts, ["folio 0: get 2→3", "freeze 2→0 fails: 3 references"]);
}
