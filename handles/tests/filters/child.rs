//! Processes of a test's own, and the filters in them.

use std::collections::BTreeMap;
use std::env;
use std::os::unix::process::ExitStatusExt;
use std::panic;
use std::process::{self, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Names the test that the child is to run.
const CHILD: &str = "ENODEV_FILTERED_TEST";
/// How a child ends that came to the end of its test; one that ran nothing, or panicked, ends otherwise.
const PASSED: i32 = 42;
const PANICKED: i32 = 43;

/// Runs a test in a process of its own, and tells the signal that ended it; none, if it passed. `name` is the
/// test's own, modules and all.
pub(crate) fn in_child(name: &str, test: fn()) -> Option<i32> {
    if env::var_os(CHILD).is_some_and(|child| child == name) {
        let report = panic::take_hook();
        // Threads that wait for the one that panics would keep the process.
        panic::set_hook(Box::new(move |panic| {
            report(panic);
            process::exit(PANICKED);
        }));
        test();
        process::exit(PASSED);
    }
    let mut child = Command::new(env::current_exe().unwrap());
    let output = child.args([name, "--exact", "--nocapture"]).env(CHILD, name).output().unwrap();
    let signal = output.status.signal();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(signal.is_some() || output.status.code() == Some(PASSED), "{}: {said}", output.status);
    signal
}

/// From now on, in all threads, the calls of the rules get the answer, and all others are done.
pub(crate) fn refuse(rules: impl IntoIterator<Item = (i64, Vec<SeccompRule>)>, answer: SeccompAction) {
    let filter = program(rules, SeccompAction::Allow, answer);
    seccompiler::apply_filter_all_threads(&filter).unwrap();
}

pub(crate) fn program(
    rules: impl IntoIterator<Item = (i64, Vec<SeccompRule>)>,
    others: SeccompAction,
    these: SeccompAction,
) -> BpfProgram {
    let rules: BTreeMap<i64, Vec<SeccompRule>> = rules.into_iter().collect();
    let filter = SeccompFilter::new(rules, others, these, env::consts::ARCH.try_into().unwrap()).unwrap();
    filter.try_into().unwrap()
}

pub(crate) fn any_membarrier() -> [(i64, Vec<SeccompRule>); 1] {
    [(libc::SYS_membarrier, Vec::new())]
}

/// The barrier itself, but not the registration for it.
pub(crate) fn barrier_only() -> [(i64, Vec<SeccompRule>); 1] {
    const PRIVATE_EXPEDITED: u64 = 1 << 3;
    let command = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, PRIVATE_EXPEDITED).unwrap();
    [(libc::SYS_membarrier, vec![SeccompRule::new(vec![command]).unwrap()])]
}

pub(crate) fn errno(number: i32) -> SeccompAction {
    SeccompAction::Errno(number.unsigned_abs())
}

/// Runs work on a thread that may make the calls of this list only, once it has called what it is given: one more, and the process
/// is killed. The thread never ends, which would take calls of its own.
pub(crate) fn confined(calls: &'static [i64], work: impl FnOnce(&dyn Fn()) + Send + 'static) {
    let done = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&done);
    thread::spawn(move || {
        work(&|| {
            let rules = calls.iter().map(|call| (*call, Vec::new()));
            let filter = program(rules, SeccompAction::KillProcess, SeccompAction::Allow);
            seccompiler::apply_filter(&filter).unwrap();
        });
        tell.store(true, Ordering::SeqCst);
        loop {
            std::hint::spin_loop();
        }
    });
    while !done.load(Ordering::SeqCst) {
        thread::yield_now();
    }
}
