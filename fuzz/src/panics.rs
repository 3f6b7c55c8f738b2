//! Panics of the present thread, also those that somebody caught: a node under test runs on the thread that feeds it,
//! and what one of its tasks panics with goes no further than its runtime.

use std::cell::Cell;
use std::sync::Once;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// How many there have been since this was called first.
pub(crate) fn count() -> u64 {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // A thread that ends has no counter any more; nobody asks for it either.
            let _ = COUNT.try_with(|count| count.set(count.get() + 1));
            told(info);
        }));
    });
    COUNT.get()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_panic_that_is_caught_is_counted() {
        let before = super::count();
        std::panic::catch_unwind(|| panic!("as the test wants it")).expect_err("a panic");
        assert_eq!(super::count(), before + 1);
    }
}
