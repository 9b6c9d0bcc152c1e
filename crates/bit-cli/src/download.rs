//! Models that are fetched: a bar for each file on a terminal, and what a person should know.

use bit_pretrained::{Hub, HubEvent};
use indicatif::ProgressBar;

use crate::printable::printable;
use crate::progress;

/// The Hub of the environment.
pub fn hub() -> Hub {
    let hub = Hub::from_env();
    let bar = match hub.hides_progress() {
        true => ProgressBar::hidden(),
        false => progress::file(),
    };
    hub.with_progress(move |event| show(&bar, event))
}

/// A bar prints nothing but to a terminal: what a person should know steps around it.
fn show(bar: &ProgressBar, event: HubEvent<'_>) {
    match event {
        HubEvent::File { name, size } => {
            bar.reset();
            bar.set_message(name.to_owned());
            bar.set_length(size.unwrap_or_default());
        }
        HubEvent::Bytes(count) => bar.set_position(count),
        HubEvent::FileDone => bar.finish_and_clear(),
        HubEvent::Waiting { name } => say(bar, &format!("{name}: another process fetches it; waiting")),
        HubEvent::Retry { reason, after } => {
            say(bar, &format!("{reason}; trying again in {} s", after.as_secs()));
        }
        HubEvent::Note(text) => say(bar, text),
        _ => {}
    }
}

fn say(bar: &ProgressBar, text: &str) {
    bar.suspend(|| eprintln!("{}", printable(text)));
}
