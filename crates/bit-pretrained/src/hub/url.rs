//! The little that is needed of addresses: parts of paths, redirects, and who is asked.

use ureq::http::Uri;

/// A part of a path, with everything but letters, digits and `-_.~` escaped.
pub(super) fn escaped(part: &str) -> String {
    let mut escaped = String::with_capacity(part.len());
    for byte in part.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte))
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// Where a redirect from `base` leads.
pub(super) fn joined(base: &Uri, location: &str) -> Option<Uri> {
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let absolute = match location {
        _ if location.starts_with("http://") || location.starts_with("https://") => location.to_owned(),
        _ if location.starts_with("//") => format!("{scheme}:{location}"),
        _ if location.starts_with('/') => format!("{scheme}://{authority}{location}"),
        _ => {
            let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{scheme}://{authority}{folder}/{location}")
        }
    };
    absolute.parse().ok()
}

/// Scheme, host and port: a token is for one of these.
pub(super) type Origin = (String, String, u16);

pub(super) fn origin(uri: &Uri) -> Option<Origin> {
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some((scheme, uri.host()?.to_ascii_lowercase(), port))
}

/// Without the query, which may hold a signature.
pub(super) fn printed(uri: &Uri) -> String {
    let text = uri.to_string();
    text.split_once('?')
        .map_or(text.clone(), |(path, _)| path.to_owned())
}

/// Whether this machine itself is asked. No proxy leads there.
pub(super) fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_redirect_may_be_relative_to_host_folder_or_scheme() {
        let base: Uri = "https://hub.example:8443/a/b?c=d".parse().unwrap();
        for (location, expected) in [
            ("/x/y", "https://hub.example:8443/x/y"),
            ("y", "https://hub.example:8443/a/y"),
            ("//cdn.example/y?z", "https://cdn.example/y?z"),
            ("http://cdn.example/y", "http://cdn.example/y"),
        ] {
            assert_eq!(joined(&base, location).unwrap(), expected, "{location}");
        }
    }

    #[test]
    fn another_port_or_scheme_is_another_origin_and_the_default_port_is_not() {
        let origin_of = |text: &str| origin(&text.parse().unwrap()).unwrap();
        assert_eq!(
            origin_of("https://Hub.example/a"),
            origin_of("https://hub.example:443/b")
        );
        assert_ne!(
            origin_of("https://hub.example/"),
            origin_of("https://hub.example:8443/")
        );
        assert_ne!(
            origin_of("https://hub.example/"),
            origin_of("http://hub.example/")
        );
    }

    #[test]
    fn a_revision_is_one_part_of_a_path() {
        assert_eq!(escaped("refs/pr/1"), "refs%2Fpr%2F1");
        assert_eq!(escaped("ü ?"), "%C3%BC%20%3F");
    }

    #[test]
    fn signatures_are_not_printed() {
        assert_eq!(
            printed(&"https://cdn.example/y?Signature=1".parse().unwrap()),
            "https://cdn.example/y"
        );
    }
}
