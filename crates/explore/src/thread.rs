//! Threads of a scene: coroutines, which one thread of the machine runs in turn.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use generator::{Generator, Gn};

use crate::exec::{EXEC, Exec};
use crate::object::hash;
use crate::turns::{join, with};

/// A thread that was spawned.
#[derive(Debug)]
pub struct JoinHandle<T> {
    result: Arc<std::sync::Mutex<Option<T>>>,
    thread: usize,
}

impl<T> JoinHandle<T> {
    /// Waits for its end; what it returned.
    ///
    /// # Errors
    /// Never: a panic in a thread ends the execution. The signature is the standard library's.
    pub fn join(self) -> std::thread::Result<T> {
        join(self.thread);
        let result = self.result.lock().map(|mut result| result.take());
        match result {
            Ok(Some(result)) => Ok(result),
            _ => unreachable!("a thread that ends leaves its result"),
        }
    }
}

/// Starts a thread.
///
/// # Panics
/// Outside of a scene, and in a scene of more than 16 threads.
pub fn spawn<T: Hash + 'static>(act: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
    let result = Arc::new(std::sync::Mutex::new(None));
    let theirs = result.clone();
    let job = move || {
        let done = act();
        let hash = hash(&done);
        if let Ok(mut result) = theirs.lock() {
            *result = Some(done);
        }
        hash
    };
    let thread = with(|exec| {
        exec.spawned.push(Box::new(job));
        exec.recorder.spawns();
        exec.add_thread()
    });
    JoinHandle { result, thread: thread.expect("threads are spawned in a scene") }
}

/// The number of the thread that runs, in the order in which they were spawned; 0 is the scene's.
pub fn current() -> usize {
    with(|exec| exec.current).unwrap_or_default()
}

/// A variable of which each thread of a scene has its own; see
/// [`thread_local!`](crate::thread_local).
#[derive(Debug)]
pub struct LocalKey<T: 'static> {
    init: fn() -> T,
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn new(init: fn() -> T) -> Self {
        Self { init }
    }

    /// As [`with`](Self::with): a thread of a scene can always use it.
    ///
    /// # Errors
    /// None.
    pub fn try_with<R>(&'static self, act: impl FnOnce(&T) -> R) -> Result<R, Infallible> {
        Ok(self.with(act))
    }

    /// Acts on the thread's own, which is made when it is first used.
    pub fn with<R>(&'static self, act: impl FnOnce(&T) -> R) -> R {
        let key = std::ptr::from_ref(self).addr();
        let found = locals(|all| all.iter().find(|(of, _)| *of == key).map(|(_, v)| v.clone()));
        let value = found.unwrap_or_else(|| {
            let value: Rc<dyn Any> = Rc::new((self.init)());
            locals(|all| all.push((key, value.clone())));
            value
        });
        match value.downcast_ref() {
            Some(value) => act(value),
            None => unreachable!("a key has one type"),
        }
    }
}

type Locals = Vec<(usize, Rc<dyn Any>)>;

fn locals<R>(act: impl FnOnce(&mut Locals) -> R) -> R {
    thread_local!(static OUTSIDE: RefCell<Locals> = const { RefCell::new(Vec::new()) });
    EXEC.with_borrow_mut(|exec| match exec {
        Some(exec) => {
            let current = exec.current;
            act(&mut exec.threads[current].locals)
        }
        None => OUTSIDE.with_borrow_mut(act),
    })
}

/// As the standard library's, with a variable for each thread of a scene.
#[macro_export]
macro_rules! thread_local {
    () => {};
    ($(#[$a:meta])* $v:vis static $name:ident: $t:ty = const $init:block $(; $($rest:tt)*)?) => {
        $(#[$a])* $v static $name: $crate::thread::LocalKey<$t> =
            $crate::thread::LocalKey::new(|| $init);
        $($crate::thread_local! { $($rest)* })?
    };
    ($(#[$a:meta])* $v:vis static $name:ident: $t:ty = $init:expr $(; $($rest:tt)*)?) => {
        $(#[$a])* $v static $name: $crate::thread::LocalKey<$t> =
            $crate::thread::LocalKey::new(|| $init);
        $($crate::thread_local! { $($rest)* })?
    };
}

/// Words of a coroutine's stack; pages of it that are not touched cost nothing.
const STACK_WORDS: usize = 1 << 16;

type Coroutine = Generator<'static, (), ()>;

/// What a thread does; the hash of what it returns.
pub(crate) type Job = Box<dyn FnOnce() -> u64>;

std::thread_local! {
    /// What the coroutine that is resumed next runs.
    static JOB: Cell<Option<Job>> = const { Cell::new(None) };
    /// Coroutines that wait for a job.
    static IDLE: RefCell<Vec<Coroutine>> = const { RefCell::new(Vec::new()) };
    /// What the newest panic said, and where.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Leaves the coroutine that runs, until it is resumed.
#[expect(deprecated, reason = "its successor hands a scope around, which a lock has no place for")]
pub(crate) fn pause() {
    generator::yield_with(());
}

/// A coroutine that runs one job after the other.
fn worker() -> Coroutine {
    Gn::new_opt(STACK_WORDS, || {
        while let Some(job) = JOB.take() {
            let done = catch_unwind(AssertUnwindSafe(job));
            EXEC.with_borrow_mut(|exec| {
                let Some(exec) = exec else { return };
                if done.is_err() {
                    let said = SAID.take().unwrap_or_else(|| "a panic".into());
                    exec.violation.get_or_insert(said);
                }
                let locals = std::mem::take(&mut exec.threads[exec.current].locals);
                exec.ended.push(locals);
            });
            // Dropped outside of the borrow: they may use the execution.
            drop(EXEC.with_borrow_mut(|exec| exec.as_mut().map(|exec| exec.ended.pop())));
            with(|exec| exec.finish(done.unwrap_or_default()));
            pause();
        }
        generator::done!()
    })
}

/// Runs one execution of the scene to its end, or to where it breaks a rule.
pub(crate) fn run(scene: &Rc<dyn Fn()>, mut exec: Exec) -> Exec {
    exec.add_thread();
    EXEC.set(Some(exec));
    let scene = scene.clone();
    let mut coroutines = vec![start(Box::new(move || {
        scene();
        0
    }))];
    loop {
        let next = EXEC.with_borrow_mut(|exec| {
            let exec = exec.as_mut()?;
            let next = exec.next.filter(|_| exec.violation.is_none())?;
            exec.current = next;
            Some((next, std::mem::take(&mut exec.spawned)))
        });
        let Some((next, spawned)) = next else { break };
        coroutines.extend(spawned.into_iter().map(start));
        let Started { coroutine, job } = &mut coroutines[next];
        if let Some(job) = job.take() {
            JOB.set(Some(job));
        }
        coroutine.resume();
    }
    let exec = EXEC.take().unwrap_or_else(|| unreachable!("it was set above"));
    let is_whole = exec.violation.is_none();
    for Started { coroutine, .. } in coroutines {
        match is_whole {
            true => IDLE.with_borrow_mut(|idle| idle.push(coroutine)),
            // What its stack owns is not dropped: the world of a broken rule is in no state for it.
            false => std::mem::forget(coroutine),
        }
    }
    exec
}

/// A thread's coroutine, and its job until it is resumed first.
struct Started {
    coroutine: Coroutine,
    job: Option<Job>,
}

fn start(job: Job) -> Started {
    let coroutine = IDLE.with_borrow_mut(Vec::pop).unwrap_or_else(worker);
    Started { coroutine, job: Some(job) }
}

/// Runs `act` with panics of this thread noted, and not printed.
pub(crate) fn quiet<R>(act: impl FnOnce() -> R) -> R {
    std::thread_local!(static QUIET: Cell<bool> = const { Cell::new(false) });
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if QUIET.get() {
                let said = info.payload_as_str().unwrap_or("a panic").to_owned();
                SAID.set(Some(said));
            } else {
                loud(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    let result = act();
    QUIET.set(before);
    result
}
