//! What only tests inside the crate can do: a panic in every exported function, and what handles name.

mod panics;
mod registry;
mod status;

use std::cell::Cell;

thread_local! {
    static PANICS: Cell<bool> = const { Cell::new(false) };
}

/// Called at the head of every exported function.
pub(crate) fn inject() {
    PANICS.with(|panics| assert!(!panics.get(), "injected"));
}

/// Runs `f` with every exported function panicking on this thread.
fn panicking<T>(f: impl FnOnce() -> T) -> T {
    struct Undo;
    impl Drop for Undo {
        fn drop(&mut self) {
            PANICS.with(|panics| panics.set(false));
        }
    }
    let _undo = Undo;
    PANICS.with(|panics| panics.set(true));
    f()
}
