//! Models that are fetched: a bar for each file on a terminal, and what a person should know.

use bit_pretrained::{Hub, HubEvent};
use indicatif::ProgressBar;

use crate::printable::printable;
use crate::progress;

/// The Hub of the environment.
pub fn hub() -> Hub {
    let bar = match are_bars_unwanted(std::env::var("HF_HUB_DISABLE_PROGRESS_BARS").ok()) {
        true => ProgressBar::hidden(),
        false => progress::file(),
    };
    Hub::from_env().with_progress(move |event| show(&bar, event))
}

/// Whether Python's huggingface_hub would show none.
fn are_bars_unwanted(variable: Option<String>) -> bool {
    let value = variable.unwrap_or_default().to_ascii_uppercase();
    ["1", "ON", "YES", "TRUE"].contains(&value.as_str())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_unwanted_when_python_would_show_none() {
        for (value, unwanted) in [("1", true), ("yes", true), ("0", false), ("", false)] {
            assert_eq!(are_bars_unwanted(Some(value.to_owned())), unwanted, "{value}");
        }
        assert!(!are_bars_unwanted(None));
    }
}
