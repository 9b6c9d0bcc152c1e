//! When and how often something that failed is tried again.

use std::time::Duration;

use super::Hub;
use super::event::HubEvent;
use super::fault::Fault;

/// Failures in a row that are put up with.
const FAILURES: u32 = 5;
/// The Hub counts requests in windows of five minutes.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

#[derive(Default)]
pub(super) struct Patience {
    failures: u32,
}

impl Patience {
    /// Pauses before another attempt: as long as the server asks for, else twice as long each time.
    ///
    /// # Errors
    ///
    /// The fault itself, when it will not pass or patience is at its end.
    pub fn bear(&mut self, hub: &Hub, fault: Fault) -> Result<(), Fault> {
        let Fault::Passing { reason, after } = &fault else {
            return Err(fault);
        };
        let after = after.unwrap_or(Duration::from_secs(1 << self.failures));
        self.failures += 1;
        if self.failures >= FAILURES || after > LONGEST_PAUSE {
            return Err(fault);
        }
        hub.tell(HubEvent::Retry { reason, after });
        (hub.pause)(after);
        Ok(())
    }
}

/// Tries until it is done or patience is at its end.
pub(super) fn patiently<T>(hub: &Hub, attempt: impl Fn() -> Result<T, Fault>) -> Result<T, Fault> {
    let mut patience = Patience::default();
    loop {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(fault) => patience.bear(hub, fault)?,
        }
    }
}
