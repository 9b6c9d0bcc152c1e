//! Text of files that are not trusted, as a terminal may get it.

/// The text with control characters, and those that turn the direction of writing, as escapes.
pub fn printable(text: &str) -> String {
    let acts = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match acts(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_told_nothing_but_text() {
        let hostile = "Müll\u{1b}]0;title\u{7}\u{9b}2J\r\n\u{202e}gnp.exe";
        let shown = "Müll\\u{1b}]0;title\\u{7}\\u{9b}2J\\r\\n\\u{202e}gnp.exe";
        assert_eq!(printable(hostile), shown);
    }
}
