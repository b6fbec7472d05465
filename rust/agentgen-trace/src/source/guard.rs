//! Panics of decoders as errors: a corrupt file is no defect of this program.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether panics of this thread become errors, and so are not printed.
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Does `work`; `Err` with the message of a panic in it. What `work` changed must not be used after that.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !IS_GUARDED.get() {
                before(info);
            }
        }));
    });
    let outer = IS_GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    IS_GUARDED.set(outer);
    result.map_err(|panic| message(&*panic))
}

/// The text of a panic on one line.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("unknown").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_its_message_on_one_line_and_the_next_is_loud_again() {
        assert_eq!(guarded(|| 1), Ok(1));
        let found = guarded(|| -> () { panic!("index {}\n  out of range", 7) });
        assert_eq!(found, Err("index 7 out of range".to_owned()));
        assert_eq!(guarded(|| guarded(|| -> () { panic!("inner") })), Ok(Err("inner".to_owned())));
        assert!(!IS_GUARDED.get());
    }
}
