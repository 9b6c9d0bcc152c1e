//! Which proxy leads to an address, by the variables that curl and Python read.

use std::ffi::OsString;

use ureq::http::Uri;

/// The addresses of proxies, which may hold passwords, and the hosts that are reached without one.
#[derive(Clone, Default)]
pub(super) struct Proxies {
    http: Option<Named>,
    https: Option<Named>,
    direct: Vec<String>,
}

/// A proxy's address with the variable that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub variable: &'static str,
    pub address: String,
}

impl Proxies {
    /// The variable of a scheme wins over the one of all; small letters win over capitals.
    pub fn from_variables(set: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let first = |names: [&'static str; 4]| {
            names
                .into_iter()
                .find_map(|variable| text(variable).map(|address| Named { variable, address }))
        };
        let direct = text("no_proxy").or_else(|| text("NO_PROXY")).unwrap_or_default();
        Self {
            http: first(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]),
            https: first(["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            direct: direct.split(',').filter_map(suffix).collect(),
        }
    }

    pub fn of_scheme(&self, scheme: &str) -> Option<&Named> {
        match scheme {
            "https" => self.https.as_ref(),
            _ => self.http.as_ref(),
        }
    }

    /// Whether `NO_PROXY` names the host, a domain that it is in, or `*`.
    pub fn is_direct(&self, uri: &Uri) -> bool {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let host = host.to_ascii_lowercase();
        self.direct.iter().any(|entry| {
            let before = host.strip_suffix(entry.as_str());
            entry == "*" || before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
        })
    }
}

/// `example.com` of `example.com`, `.example.com` and `*.example.com`.
fn suffix(entry: &str) -> Option<String> {
    let entry = entry.trim().to_ascii_lowercase();
    let entry = entry.strip_prefix("*.").unwrap_or(&entry).trim_start_matches('.');
    (!entry.is_empty()).then(|| entry.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::hub::settings::tests::variables;

    fn proxies(rows: &[(&str, &str)]) -> Proxies {
        Proxies::from_variables(variables(rows))
    }

    #[test]
    fn a_scheme_has_its_own_proxy_or_that_of_all() {
        let address =
            |proxies: &Proxies, scheme: &str| proxies.of_scheme(scheme).map(|proxy| proxy.address.clone());
        let both = proxies(&[("HTTPS_PROXY", "http://a"), ("ALL_PROXY", "http://b")]);
        assert_eq!(address(&both, "https").as_deref(), Some("http://a"));
        assert_eq!(address(&both, "http").as_deref(), Some("http://b"));
        let plain = proxies(&[("HTTP_PROXY", "http://a"), ("http_proxy", "http://b")]);
        assert_eq!(address(&plain, "https"), None, "it is not meant for https");
        assert_eq!(address(&plain, "http").as_deref(), Some("http://b"));
    }

    #[test]
    fn no_proxy_names_hosts_and_domains() {
        let entries = "localhost, .example.com,*.internal,Hub.test,,10.0.0.1";
        let proxies = proxies(&[("NO_PROXY", entries)]);
        let is_direct = |host: &str| proxies.is_direct(&format!("https://{host}/a").parse().unwrap());
        for host in [
            "localhost",
            "example.com",
            "a.example.com",
            "a.b.internal",
            "hub.test:8443",
            "cdn.HUB.test",
            "10.0.0.1",
        ] {
            assert!(is_direct(host), "{host}");
        }
        for host in ["other.com", "badexample.com", "example.com.evil", "10.0.0.11"] {
            assert!(!is_direct(host), "{host}");
        }
    }

    #[test]
    fn a_star_is_every_host() {
        let is_direct = |entries: &str| {
            let proxies = proxies(&[("no_proxy", entries), ("NO_PROXY", "x")]);
            proxies.is_direct(&"https://hub.test/".parse().unwrap())
        };
        assert!(is_direct("*"));
        assert!(!is_direct("a"));
    }
}
