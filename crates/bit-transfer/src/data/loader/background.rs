//! The thread that works ahead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, JoinHandle};

use crate::TransferError;

/// Results of a thread that stays a bounded number of them ahead.
#[derive(Debug)]
pub(super) struct Background<T> {
    results: Option<Receiver<Result<T, TransferError>>>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

/// Says that nobody waits for the result any more.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<T: Send + 'static> Background<T> {
    /// Calls `produce` again and again until it ends or fails.
    pub(super) fn new(
        ahead: usize,
        mut produce: impl FnMut(&Stop) -> Option<Result<T, TransferError>> + Send + 'static,
    ) -> Result<Self, TransferError> {
        // The thread holds one result in its hands.
        let (sender, results) = sync_channel(ahead.saturating_sub(1));
        let stop = Stop::default();
        let stopped = stop.clone();
        let work = move || {
            while let Some(result) = produce(&stopped) {
                let failed = result.is_err();
                if sender.send(result).is_err() || failed {
                    return;
                }
            }
        };
        let thread = Builder::new()
            .name("batches".into())
            .spawn(work)
            .map_err(|error| {
                TransferError::Argument(format!("cannot start the thread that prepares batches: {error}"))
            })?;
        Ok(Self {
            results: Some(results),
            stop,
            thread: Some(thread),
        })
    }

    /// The next result; `None` after the last or after an error.
    pub(super) fn next(&mut self) -> Option<Result<T, TransferError>> {
        match self.results.as_ref()?.recv() {
            Ok(result) => Some(result),
            Err(_) => {
                self.results = None;
                let panicked = self.thread.take()?.join().is_err();
                let message = "the thread that prepares batches panicked; its message is above";
                panicked.then(|| Err(TransferError::Argument(message.into())))
            }
        }
    }
}

impl<T> Drop for Background<T> {
    fn drop(&mut self) {
        self.stop.0.store(true, Ordering::Relaxed);
        self.results = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been reported where it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn results_come_in_order_and_end() {
        let mut numbers = 0..5;
        let mut background = Background::new(2, move |_| numbers.next().map(Ok)).unwrap();
        let all: Vec<i32> = std::iter::from_fn(|| background.next())
            .map(Result::unwrap)
            .collect();
        assert_eq!(all, [0, 1, 2, 3, 4]);
        assert!(background.next().is_none());
    }

    #[test]
    fn a_panic_is_an_error_and_not_the_end() {
        let mut background = Background::<()>::new(1, |_| panic!("expected by the test")).unwrap();
        let error = background.next().unwrap().unwrap_err().to_string();
        assert!(error.contains("panicked"), "{error}");
        assert!(background.next().is_none());
    }

    #[test]
    fn endless_work_stops_when_nobody_waits() {
        let background = Background::new(1, |_| Some(Ok(1))).unwrap();
        drop(background);
    }
}
