//! What the environment says, under the names that Python's huggingface_hub reads.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
#[cfg(feature = "hub")]
use std::time::Duration;

#[cfg(feature = "hub")]
use super::proxy::Proxies;

const ENDPOINT: &str = "https://huggingface.co";
const GOOGLE: &str = "https://storage.googleapis.com/bit_models";

#[derive(Clone)]
pub(super) struct Settings {
    /// The Hub's cache.
    pub cache: PathBuf,
    /// Where libraries keep what they fetch from elsewhere, a folder each.
    assets: PathBuf,
    /// The Hub's address, without a slash at the end.
    pub endpoint: String,
    /// The address of Google's files, likewise.
    pub google: String,
    /// Whether the network may not be asked.
    pub offline: bool,
    /// Whether nobody wants to see how far a download is.
    pub hides_progress: bool,
    /// Read when it is needed.
    token: Token,
    /// How servers are reached.
    #[cfg(feature = "hub")]
    pub way: Way,
}

/// The way to servers, and how long each is waited for: as long as this crate thinks fit, unless it is said.
#[cfg(feature = "hub")]
#[derive(Clone, Default)]
pub(super) struct Way {
    pub proxies: Proxies,
    /// For what a server says of a file.
    pub etag_timeout: Option<Duration>,
    /// For the next part of a file.
    pub download_timeout: Option<Duration>,
}

#[derive(Clone)]
#[cfg_attr(
    not(feature = "hub"),
    expect(dead_code, reason = "only the Hub asks who asks")
)]
enum Token {
    Known(String),
    InFile(PathBuf),
    Forbidden,
}

impl Settings {
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let home = set("HOME")
            .or_else(|| set("USERPROFILE"))
            .map(PathBuf::from)
            .or_else(std::env::home_dir);
        let path = |name: &str| set(name).map(|value| expanded(value, home.as_deref(), &set));
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let is_true = |name: &str| {
            let value = text(name).unwrap_or_default().to_ascii_uppercase();
            ["1", "ON", "YES", "TRUE"].contains(&value.as_str())
        };
        let address = |name: &str, default: &str| {
            let address = text(name).unwrap_or_else(|| default.to_owned());
            address.trim_end_matches('/').to_owned()
        };
        // As in Python, what is no whole number is an error there and nothing here, and zero is nothing.
        #[cfg(feature = "hub")]
        let seconds = |name: &str| {
            let seconds = text(name)?.trim().parse().ok().filter(|&seconds| seconds > 0);
            seconds.map(Duration::from_secs)
        };
        let caches =
            path("XDG_CACHE_HOME").unwrap_or_else(|| home.clone().unwrap_or_default().join(".cache"));
        let hugging = path("HF_HOME").unwrap_or_else(|| caches.join("huggingface"));
        let given = text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN"));
        let token = match given.and_then(|token| clean(&token)) {
            _ if is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN") => Token::Forbidden,
            Some(token) => Token::Known(token),
            None => Token::InFile(path("HF_TOKEN_PATH").unwrap_or_else(|| hugging.join("token"))),
        };
        Self {
            cache: path("HF_HUB_CACHE")
                .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
                .unwrap_or_else(|| hugging.join("hub")),
            assets: path("HF_ASSETS_CACHE").unwrap_or_else(|| hugging.join("assets")),
            endpoint: address("HF_ENDPOINT", ENDPOINT),
            google: address("BIT_BURN_GOOGLE_URL", GOOGLE),
            // The first that is set decides.
            offline: is_true(match set("HF_HUB_OFFLINE") {
                Some(_) => "HF_HUB_OFFLINE",
                None => "TRANSFORMERS_OFFLINE",
            }),
            hides_progress: is_true("HF_HUB_DISABLE_PROGRESS_BARS"),
            token,
            #[cfg(feature = "hub")]
            way: Way {
                proxies: Proxies::from_variables(set),
                etag_timeout: seconds("HF_HUB_ETAG_TIMEOUT"),
                download_timeout: seconds("HF_HUB_DOWNLOAD_TIMEOUT"),
            },
        }
    }

    /// Where Google's files are kept, by the rule of huggingface_hub's `cached_assets_path`.
    pub fn google_folder(&self) -> PathBuf {
        self.assets.join("bit-burn/google/bit_models")
    }

    /// What proves to the Hub who asks.
    #[cfg(feature = "hub")]
    pub fn token(&self) -> Option<String> {
        match &self.token {
            Token::Known(token) => Some(token.clone()),
            Token::InFile(path) => clean(&std::fs::read_to_string(path).ok()?),
            Token::Forbidden => None,
        }
    }
}

/// A path with a leading `~` and with `$NAME` and `${NAME}` replaced, as Python's `expanduser` and `expandvars` do it:
/// variables that are not set, and the homes of other users, stay as they are written.
fn expanded(value: OsString, home: Option<&Path>, variable: &impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let Some(text) = value.to_str() else {
        return value.into();
    };
    let mut out = OsString::new();
    let mut rest = text;
    if let (Some(after), Some(home)) = (text.strip_prefix('~'), home)
        && (after.is_empty() || after.starts_with('/'))
    {
        out.push(home);
        rest = after;
    }
    while let Some((before, after)) = rest.split_once('$') {
        let (name, left) = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}').unwrap_or_default(),
            None => after.split_at(
                after
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(after.len()),
            ),
        };
        out.push(before);
        match variable(name).filter(|_| !name.is_empty()) {
            Some(value) => {
                out.push(value);
                rest = left;
            }
            None => {
                out.push("$");
                rest = after;
            }
        }
    }
    out.push(rest);
    out.into()
}

/// A line's end is easily copied with a token.
fn clean(token: &str) -> Option<String> {
    let token = token.trim().replace(['\r', '\n'], "");
    (!token.is_empty()).then_some(token)
}

impl fmt::Debug for Token {
    /// Says where it is from, never what it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(_) => f.write_str("Known"),
            Self::InFile(path) => write!(f, "InFile({path:?})"),
            Self::Forbidden => f.write_str("Forbidden"),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("cache", &self.cache)
            .field("assets", &self.assets)
            .field("endpoint", &self.endpoint)
            .field("google", &self.google)
            .field("offline", &self.offline)
            .field("token", &self.token)
            .finish()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Variables that a test sets.
    pub(in crate::hub) fn variables<'a>(rows: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        |name| rows.iter().find(|row| row.0 == name).map(|row| row.1.into())
    }

    fn settings(rows: &[(&str, &str)]) -> Settings {
        Settings::from_variables(variables(rows))
    }

    #[test]
    fn the_caches_are_where_python_has_them() {
        let variables = [
            ("HF_HUB_CACHE", "/hub"),
            ("HF_HOME", "/hf"),
            ("XDG_CACHE_HOME", "/xdg"),
            ("HOME", "/me"),
        ];
        let hubs = [
            "/hub",
            "/hf/hub",
            "/xdg/huggingface/hub",
            "/me/.cache/huggingface/hub",
        ];
        for (first, hub) in hubs.iter().enumerate() {
            assert_eq!(settings(&variables[first..]).cache, Path::new(hub));
        }
        assert!(
            settings(&variables)
                .google_folder()
                .starts_with("/hf/assets/bit-burn")
        );
        assert_eq!(
            settings(&[("HF_HOME", ""), ("HOME", "/me")]).cache,
            Path::new(hubs[3])
        );
    }

    #[test]
    fn paths_are_expanded_as_python_expands_them() {
        for (value, expected) in [
            ("~/hf", "/me/hf"),
            ("~", "/me"),
            ("~you/hf", "~you/hf"),
            ("/a~/hf", "/a~/hf"),
            ("$DATA/hf", "/data/hf"),
            ("${DATA}_2/$DATA", "/data_2//data"),
            ("$NONE/${NONE}/${DATA", "$NONE/${NONE}/${DATA"),
            ("a$/$", "a$/$"),
        ] {
            let variables = [("HF_HUB_CACHE", value), ("HOME", "/me"), ("DATA", "/data")];
            assert_eq!(settings(&variables).cache, Path::new(expected), "{value}");
        }
        let token = settings(&[("HF_TOKEN_PATH", "~/t"), ("HOME", "/me")]).token;
        assert_eq!(format!("{token:?}"), "InFile(\"/me/t\")");
    }

    #[test]
    fn offline_is_what_python_calls_true() {
        for (name, value, offline) in [
            ("HF_HUB_OFFLINE", "1", true),
            ("HF_HUB_OFFLINE", "yes", true),
            ("TRANSFORMERS_OFFLINE", "True", true),
            ("HF_HUB_OFFLINE", "0", false),
            ("HF_HUB_OFFLINE", "", false),
        ] {
            assert_eq!(settings(&[(name, value)]).offline, offline, "{name}={value}");
        }
        let first = [("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")];
        assert!(!settings(&first).offline);
    }

    #[test]
    fn progress_is_hidden_when_python_would_hide_it() {
        for (value, hidden) in [("1", true), ("yes", true), ("0", false), ("", false)] {
            let settings = settings(&[("HF_HUB_DISABLE_PROGRESS_BARS", value)]);
            assert_eq!(settings.hides_progress, hidden, "{value}");
        }
        assert!(!settings(&[]).hides_progress);
    }

    #[cfg(feature = "hub")]
    #[test]
    fn timeouts_are_whole_seconds_and_unset_otherwise() {
        for (value, expected) in [("3", Some(3)), ("0", None), ("", None), ("soon", None)] {
            let way = settings(&[("HF_HUB_ETAG_TIMEOUT", value), ("HF_HUB_DOWNLOAD_TIMEOUT", "7")]).way;
            assert_eq!(way.etag_timeout, expected.map(Duration::from_secs), "{value}");
            assert_eq!(way.download_timeout, Some(Duration::from_secs(7)));
        }
    }

    #[test]
    fn no_token_is_ever_printed() {
        let printed = format!("{:?}", settings(&[("HF_TOKEN", "hf_secret")]));
        assert!(!printed.contains("secret"), "{printed}");
    }

    #[cfg(feature = "hub")]
    #[test]
    fn the_token_comes_from_the_variable_or_the_file_unless_that_is_forbidden() {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::write(home.path().join("token"), "hf_file\n").expect("a file");
        let home = ("HF_HOME", home.path().to_str().expect("UTF-8"));
        assert_eq!(settings(&[home]).token().as_deref(), Some("hf_file"));
        let both = [home, ("HF_TOKEN", " hf_variable\n")];
        assert_eq!(settings(&both).token().as_deref(), Some("hf_variable"));
        let forbidden = [both[0], both[1], ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")];
        assert_eq!(settings(&forbidden).token(), None);
    }
}
