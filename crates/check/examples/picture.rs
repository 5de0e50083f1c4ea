//! Breaks one rule of the protocol, and draws what happens then.
fn main() {
    use refolio_checked::model;
    use refolio_explore::Search;
    let cell = std::env::args().nth(1).unwrap();
    let broken: &'static str = Box::leak(std::env::args().nth(2).unwrap().into_boxed_str());
    let m = model::ALL.iter().find(|m| m.name() == cell).unwrap();
    for act in m.scenes {
        let scene = model::Scene { act: *act, form: Default::default(), broken: Some(broken) };
        for bound in 0..4 {
            let v = scene.search(&Search { preemptions: Some(bound), ..Search::default() });
            println!("bound {bound}: {} executions {:?}", v.executions, v.violation);
            if let Some(v) = v.violation {
                let t = scene.replay(&v.schedule);
                println!("alone {} of {}; {:?}", t.alone, t.events.len(), t.violation);
                for e in &t.events[t.alone..] {
                    println!("{} {:>40} {:?} {}:{}", if e.preempts {'>'} else {' '}, e.thread, e.told, e.at.file(), e.at.line());
                }
                break;
            }
        }
    }
}
