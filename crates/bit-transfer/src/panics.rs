//! Panics of other people's parsers, which outside input can cause, as values.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What `work` gives; `None` when it panics. Nothing is printed then: whoever calls this has a better message.
///
/// The first call puts a filter in front of the process's panic hook, which keeps everything else as it was.
pub(crate) fn catch_quietly<T>(work: impl FnOnce() -> T) -> Option<T> {
    static FILTER: Once = Once::new();
    FILTER.call_once(|| {
        let hook = take_hook();
        set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                hook(panic);
            }
        }));
    });
    let before = QUIET.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work)).ok();
    QUIET.set(before);
    done
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;

    #[test]
    fn a_panic_is_a_value_and_the_thread_is_as_loud_as_before() {
        assert_eq!(catch_quietly(|| 1), Some(1));
        let inner = || catch_quietly(|| panic!("inner")).is_none() && QUIET.get();
        assert_eq!(catch_quietly(inner), Some(true));
        assert_eq!(catch_quietly(|| panic!("outer")), None::<()>);
        assert!(!QUIET.get());
    }
}
