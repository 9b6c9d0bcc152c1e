//! Requests. Redirects are followed here and not in the library, so that the Hub's token goes to the Hub only.

use std::time::{Duration, SystemTime};

use ureq::http::header::{AUTHORIZATION, ETAG, HeaderMap, LOCATION, RANGE, RETRY_AFTER};
use ureq::http::{Method, Request, Response, StatusCode, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Proxy, ProxyProtocol};

use super::fault::Fault;
use super::proxy::Named;
use super::settings::Way;
use super::url::{Origin, is_loopback, joined, origin, printed};

const MAX_REDIRECTS: usize = 10;
const CONNECT: Duration = Duration::from_secs(15);
/// Until an answer begins, and between two parts of it.
const SILENCE: Duration = Duration::from_secs(60);
/// The Hub's name for the content of a large file.
pub(super) const LINKED_ETAG: &str = "x-linked-etag";
/// Longest text of a server that is repeated in a message.
const MAX_REASON: usize = 200;

/// Which redirects are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Redirects {
    /// Those that say nothing of the file, such as a mirror's to the Hub. Another one is the answer: the Hub describes a
    /// large file in its redirect to where that is.
    UntilDescribed,
    /// All, but none that gives up encryption.
    All,
}

pub(super) struct Client {
    /// By way of the proxies for the schemes.
    https: Agent,
    http: Agent,
    /// Without a proxy.
    direct: Agent,
    way: Way,
    /// A token, and who may see it.
    token: Option<(String, Origin)>,
}

impl Client {
    /// `token` is shown to `address` only.
    ///
    /// # Errors
    ///
    /// When a proxy's address is none.
    pub fn new(way: &Way, address: &str, token: Option<String>) -> Result<Self, Fault> {
        let owner = address.parse().ok().as_ref().and_then(origin);
        let by_proxy = |scheme: &str| -> Result<Agent, Fault> {
            let proxy = way.proxies.of_scheme(scheme).map(proxy).transpose()?;
            Ok(agent(proxy))
        };
        Ok(Self {
            https: by_proxy("https")?,
            http: by_proxy("http")?,
            direct: agent(None),
            way: way.clone(),
            token: token.zip(owner),
        })
    }

    /// What the server says of a file.
    pub fn head(&self, url: &str, redirects: Redirects) -> Result<HeaderMap, Fault> {
        let response = self.follow(&Method::HEAD, url, 0, redirects)?;
        Ok(response.into_parts().0.headers)
    }

    /// The file from byte `start` on, if the server can start there.
    pub fn get(&self, url: &str, start: u64) -> Result<Response<Body>, Fault> {
        self.follow(&Method::GET, url, start, Redirects::All)
    }

    fn follow(
        &self,
        method: &Method,
        url: &str,
        start: u64,
        redirects: Redirects,
    ) -> Result<Response<Body>, Fault> {
        let invalid = |error| Fault::Absent(format!("`{url}` is no address: {error}"));
        let mut uri: Uri = url.parse().map_err(invalid)?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.ask(method, &uri, start)?;
            if !response.status().is_redirection() {
                return accept(response, &uri);
            }
            let next = redirected(&response, &uri)?;
            let has = |name| response.headers().contains_key(name);
            let describes = has(LINKED_ETAG) || (origin(&next) != origin(&uri) && has(ETAG.as_str()));
            if redirects == Redirects::UntilDescribed && describes {
                return Ok(response);
            }
            uri = next;
        }
        Err(Fault::Damaged(format!("more than {MAX_REDIRECTS} redirects")))
    }

    fn ask(&self, method: &Method, uri: &Uri, start: u64) -> Result<Response<Body>, Fault> {
        let mut request = Request::builder().method(method).uri(uri);
        if start > 0 {
            request = request.header(RANGE, format!("bytes={start}-"));
        }
        if let Some((token, owner)) = &self.token
            && origin(uri).as_ref() == Some(owner)
        {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(()).map_err(ureq::Error::from);
        request
            .and_then(|request| self.run(uri, request))
            .map_err(|error| Fault::of_request(uri, error))
    }

    fn run(&self, uri: &Uri, request: Request<()>) -> Result<Response<Body>, ureq::Error> {
        let timeout = match *request.method() {
            Method::HEAD => self.way.etag_timeout,
            _ => self.way.download_timeout,
        };
        let agent = self.agent(uri);
        let request = agent
            .configure_request(request)
            .timeout_connect(Some(timeout.unwrap_or(CONNECT)))
            .timeout_recv_response(Some(timeout.unwrap_or(SILENCE)))
            .timeout_per_read(Some(timeout.unwrap_or(SILENCE)));
        agent.run(request.build())
    }

    fn agent(&self, uri: &Uri) -> &Agent {
        match uri.scheme_str() {
            _ if is_loopback(uri) || self.way.proxies.is_direct(uri) => &self.direct,
            Some("https") => &self.https,
            _ => &self.http,
        }
    }
}

/// A proxy that is asked with `CONNECT`.
fn proxy(named: &Named) -> Result<Proxy, Fault> {
    let proxy = Proxy::new(&named.address)
        .ok()
        .filter(|proxy| matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https));
    // Not the address itself, which may hold a password.
    proxy.ok_or_else(|| {
        let variable = named.variable;
        Fault::Absent(format!(
            "{variable} is no address of an HTTP proxy, such as http://host:3128"
        ))
    })
}

fn agent(proxy: Option<Proxy>) -> Agent {
    let certificates = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    Agent::config_builder()
        .proxy(proxy)
        .tls_config(certificates)
        .user_agent(concat!("bit-burn/", env!("CARGO_PKG_VERSION")))
        // What is counted and summed up is the file, not a compressed form of it.
        .accept_encoding("identity")
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build()
        .new_agent()
}

fn redirected(response: &Response<Body>, from: &Uri) -> Result<Uri, Fault> {
    let target = text(response.headers(), LOCATION.as_str()).and_then(|location| joined(from, location));
    let from = printed(from);
    let next = target.ok_or_else(|| Fault::Damaged(format!("{from} redirects to nowhere")))?;
    match from.starts_with("https:") && next.scheme_str() != Some("https") {
        true => Err(Fault::Damaged(format!(
            "{from} redirects to {}, without encryption",
            printed(&next)
        ))),
        false => Ok(next),
    }
}

/// An answer that has the file, or at least says something of it.
fn accept(response: Response<Body>, uri: &Uri) -> Result<Response<Body>, Fault> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let headers = response.headers();
    let host = uri.host().unwrap_or_default();
    match status {
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::INTERNAL_SERVER_ERROR
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Err(Fault::Passing {
            reason: format!("{host} answers {status}"),
            after: text(headers, RETRY_AFTER.as_str()).and_then(|after| pause(after, SystemTime::now())),
        }),
        _ => Err(Fault::Refused {
            status: status.as_u16(),
            code: text(headers, "x-error-code").map(str::to_owned),
            reason: text(headers, "x-error-message")
                .or(status.canonical_reason())
                .unwrap_or_default()
                .chars()
                .take(MAX_REASON)
                .collect(),
        }),
    }
}

/// What `Retry-After` asks for: seconds, or a date.
fn pause(after: &str, now: SystemTime) -> Option<Duration> {
    let after = after.trim();
    match after.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(after).ok()?;
            Some(date.duration_since(now).unwrap_or_default())
        }
    }
}

/// A header's value. Those with control characters are no text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_until_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        for (after, seconds) in [
            (" 7 ", Some(7)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(pause(after, now), seconds.map(Duration::from_secs), "{after}");
        }
    }
}
