//! Downloads from servers in this process, and the cache that Python writes.

#![allow(clippy::unwrap_used)]

mod fake;
mod loopback;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use serde::Deserialize;
use tempfile::TempDir;

use super::*;
use crate::{ModelSource, Pretrained};
use fake::{COMMIT, Fake, LATER, NAME, PICKLE, SAFETENSORS, Trouble, sha256, weights};

/// A machine with an empty cache.
struct Machine {
    folder: TempDir,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Machine {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            heard: Arc::default(),
        }
    }

    /// That asks these servers, and never really pauses.
    fn hub(&self, fake: &Fake, variables: &[(&str, &str)]) -> Hub {
        let folder = |name: &str| self.folder.path().join(name).into_os_string();
        let heard = Arc::clone(&self.heard);
        let given = settings::tests::variables(variables);
        let usual = |name: &str| match name {
            "HF_HOME" => Some(folder("home")),
            "HF_ENDPOINT" => Some(fake.hub.address.clone().into()),
            "BIT_BURN_GOOGLE_URL" => Some(fake.storage.address.clone().into()),
            _ => None,
        };
        let hub = Hub::from_variables(|name| given(name).or_else(|| usual(name)));
        let hub = hub.with_progress(move |event| {
            let mut heard = heard.lock().unwrap();
            match event {
                HubEvent::Retry { reason, after } => heard.push(format!("{reason}: {after:?}")),
                HubEvent::Note(text) => heard.push(text.to_owned()),
                _ => {}
            }
        });
        Hub { pause: |_| {}, ..hub }
    }

    fn cache(&self) -> std::path::PathBuf {
        self.folder.path().join("home/hub")
    }

    /// Files and links below the cache, by their path, without what is locked.
    fn listing(&self) -> BTreeMap<String, Entry> {
        let mut entries = BTreeMap::new();
        list(&self.cache(), &self.cache(), &mut entries);
        entries.retain(|name, _| !name.starts_with(".locks"));
        entries
    }

    fn heard(&self) -> String {
        self.heard.lock().unwrap().join("\n")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Entry {
    Text(String),
    Link(String),
}

fn list(root: &Path, folder: &Path, entries: &mut BTreeMap<String, Entry>) {
    let Ok(inside) = fs::read_dir(folder) else {
        return;
    };
    for path in inside.map(|entry| entry.unwrap().path()) {
        let name = path
            .strip_prefix(root)
            .unwrap()
            .to_string_lossy()
            .replace('\\', "/");
        match fs::read_link(&path) {
            Ok(target) => entries.insert(name, Entry::Link(target.to_string_lossy().into_owned())),
            Err(_) if path.is_dir() => {
                list(root, &path, entries);
                None
            }
            Err(_) => {
                let content = fs::read(&path).unwrap();
                entries.insert(name, Entry::Text(String::from_utf8_lossy(&content).into_owned()))
            }
        };
    }
}

/// What `tests/make_python_cache.py` saw Python write.
fn python_cache() -> BTreeMap<String, Entry> {
    #[derive(Deserialize)]
    struct Written {
        entries: BTreeMap<String, Entry>,
    }
    let written: Written = serde_json::from_str(include_str!("tests/python_cache.json")).unwrap();
    written.entries
}

/// The repository that is in it.
fn python_hub() -> Fake {
    Fake::with(&[
        ("config.json", b"{\"model_type\": \"bit\"}\n"),
        (
            "preprocessor_config.json",
            b"{\"image_processor_type\": \"BitImageProcessor\"}\n",
        ),
        (PICKLE, b"weights\n"),
    ])
}

#[cfg(unix)]
#[test]
fn what_is_written_is_what_python_writes() {
    let (machine, fake) = (Machine::new(), python_hub());
    machine.hub(&fake, &[]).repository(NAME, "main").unwrap();
    assert_eq!(machine.listing(), python_cache());
}

#[cfg(unix)]
#[test]
fn what_python_wrote_is_used_without_asking_anybody() {
    let (machine, fake) = (Machine::new(), python_hub());
    for (name, entry) in python_cache() {
        let path = machine.cache().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match entry {
            Entry::Text(text) => fs::write(path, text).unwrap(),
            Entry::Link(target) => std::os::unix::fs::symlink(target, path).unwrap(),
        }
    }
    for revision in ["main", COMMIT] {
        let folder = machine.hub(&fake, &[]).repository(NAME, revision).unwrap();
        assert_eq!(fs::read_to_string(folder.join(PICKLE)).unwrap(), "weights\n");
    }
    assert!(fake.hub.requests().is_empty());
}

#[test]
fn a_model_is_loaded_from_a_repository_under_its_former_name_too() {
    let builtin = |name| fs::read(format!("{}/builtin/mnist/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let files = ["config.json", "preprocessor_config.json", SAFETENSORS].map(|name| (name, builtin(name)));
    let files: Vec<_> = files
        .iter()
        .map(|(name, content)| (*name, &content[..]))
        .collect();
    let (machine, fake) = (Machine::new(), Fake::with(&files));
    for name in [NAME, "old/name", "google/bit-50@refs/pr/1"] {
        let source: ModelSource = name.parse().unwrap();
        let pretrained = Pretrained::from_source(&source, &machine.hub(&fake, &[])).unwrap();
        assert_eq!(pretrained.config().num_labels(), 10, "{name}");
        pretrained.processor_config().unwrap();
    }
    assert_eq!(machine.heard(), "");
}

#[test]
fn a_hub_may_keep_large_files_itself() {
    let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
    fake.without_storage();
    let folder = machine.hub(&fake, &[]).repository(NAME, "main").unwrap();
    assert_eq!(fs::read(folder.join(SAFETENSORS)).unwrap(), weights());
    assert!(fake.storage.requests().is_empty());
}

#[test]
fn a_pickle_is_fetched_only_where_there_is_nothing_better_and_that_is_said() {
    let both = [(SAFETENSORS, &b"safe"[..]), (PICKLE, b"pickle")];
    let (machine, fake) = (Machine::new(), Fake::with(&both));
    let folder = machine.hub(&fake, &[]).repository(NAME, "main").unwrap();
    assert!(folder.join(SAFETENSORS).exists() && !folder.join(PICKLE).exists());
    assert_eq!(machine.heard(), "");

    let (machine, fake) = (Machine::new(), Fake::with(&both[1..]));
    let folder = machine.hub(&fake, &[]).repository(NAME, "main").unwrap();
    assert!(folder.join(PICKLE).exists());
    let said = "google/bit-50: this revision has no safetensors, so its PyTorch pickle is read, as data";
    assert!(machine.heard().starts_with(said), "{}", machine.heard());
    // From the cache, too, and that it has none says nothing of the Hub.
    machine.hub(&fake, &[]).repository(NAME, "main").unwrap();
    assert_eq!(machine.heard().matches(said).count(), 2, "{}", machine.heard());
    let absent = machine
        .cache()
        .join("models--google--bit-50/.no_exist")
        .join(COMMIT);
    fs::remove_file(absent.join(SAFETENSORS)).unwrap();
    machine
        .hub(&fake, &[("HF_HUB_OFFLINE", "1")])
        .repository(NAME, "main")
        .unwrap();
    let of_cache = "the cache has no safetensors of this revision, so its PyTorch pickle is read";
    assert!(machine.heard().contains(of_cache), "{}", machine.heard());
}

#[test]
fn a_small_file_is_summed_up_too() {
    let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
    fake.alter_small();
    let error = machine.hub(&fake, &[]).repository(NAME, "main").unwrap_err();
    assert!(matches!(error, PretrainedError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("git SHA-1"), "{error}");
    assert!(machine.listing().is_empty(), "{:?}", machine.listing());
}

#[test]
fn all_files_are_of_one_commit_when_the_branch_moves_in_between() {
    for asked in 0..6 {
        let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
        fake.move_branch_after(asked);
        let folder = machine.hub(&fake, &[]).repository(NAME, "main").unwrap();
        let (commit, content) = match asked {
            0 => (LATER, &b"[]"[..]),
            _ => (COMMIT, &b"{}"[..]),
        };
        assert!(folder.ends_with(commit), "{asked}: {}", folder.display());
        for name in ["config.json", "preprocessor_config.json"] {
            assert_eq!(
                fs::read(folder.join(name)).unwrap(),
                content,
                "{name} after {asked}"
            );
        }
    }
}

#[test]
fn a_mirror_may_send_to_the_hub_for_everything() {
    let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
    let hub = fake.hub.address.clone();
    let mirror = loopback::Server::start(move |request| loopback::Reply {
        status: 308,
        headers: vec![("Location", format!("{hub}{}", request.path))],
        ..Default::default()
    });
    let variables = [
        ("HF_ENDPOINT", mirror.address.as_str()),
        ("HF_TOKEN", "hf_secret"),
    ];
    let folder = machine.hub(&fake, &variables).repository(NAME, "main").unwrap();
    assert_eq!(fs::read(folder.join(SAFETENSORS)).unwrap(), weights());
    let has_token = |request: &loopback::Request| request.headers.contains_key("authorization");
    assert!(mirror.requests().iter().all(has_token));
    assert!(!fake.hub.requests().iter().any(has_token));
}

#[test]
fn a_proxy_leads_to_what_is_not_this_machine() {
    let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
    fake.without_storage();
    let proxy = loopback::Proxy::start(&fake.hub.address);
    let variables = [
        ("HF_ENDPOINT", "http://hub.example"),
        ("HTTP_PROXY", proxy.address.as_str()),
        ("NO_PROXY", "other.example"),
    ];
    let folder = machine.hub(&fake, &variables).repository(NAME, "main").unwrap();
    assert_eq!(fs::read(folder.join(SAFETENSORS)).unwrap(), weights());
    assert!(!proxy.asked().is_empty());
    assert!(
        proxy
            .asked()
            .iter()
            .all(|line| line == "CONNECT hub.example:80 HTTP/1.1")
    );
}

#[test]
fn what_is_no_proxy_is_said_without_its_password() {
    let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
    for address in ["socks5://me:secret@host:1080", "http://me:secret@["] {
        let hub = machine.hub(&fake, &[("HTTPS_PROXY", address)]);
        let line = hub.repository(NAME, "main").unwrap_err().to_string();
        assert!(
            line.contains("HTTPS_PROXY is no address of an HTTP proxy"),
            "{line}"
        );
        assert!(!line.contains("secret"), "{line}");
    }
}

#[test]
fn a_silent_server_is_waited_for_as_long_as_is_said() {
    let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
    fake.trouble_hub(&[Trouble::Silence]);
    let variables = [("HF_HUB_ETAG_TIMEOUT", "1")];
    machine.hub(&fake, &variables).repository(NAME, "main").unwrap();
    assert!(machine.heard().contains("timeout"), "{}", machine.heard());

    let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
    fake.trouble_storage(&[Trouble::Silence]);
    let variables = [("HF_HUB_DOWNLOAD_TIMEOUT", "1")];
    machine.hub(&fake, &variables).repository(NAME, "main").unwrap();
    assert!(machine.heard().contains("timeout"), "{}", machine.heard());
}

#[test]
fn shards_come_with_their_index() {
    let index = br#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#;
    let (machine, fake) = (
        Machine::new(),
        Fake::with(&[
            ("model.safetensors.index.json", index),
            ("model-1.safetensors", b"1"),
            ("model-2.safetensors", b"2"),
        ]),
    );
    let folder = machine.hub(&fake, &[]).repository(NAME, "main").unwrap();
    assert_eq!(bit_convert::weight_files(&folder).unwrap().len(), 2);
    let asked = fake.hub.requests().len();
    machine.hub(&fake, &[]).repository(NAME, "main").unwrap();
    assert_eq!(
        fake.hub.requests().len(),
        asked,
        "what is complete was asked for again"
    );
}

#[test]
fn the_token_goes_to_the_hub_and_to_nobody_else() {
    let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
    fake.require_token("hf_secret");
    let hub = machine.hub(&fake, &[("HF_TOKEN", "hf_secret")]);
    hub.repository(NAME, "main").unwrap();
    let has_token = |request: &loopback::Request| request.headers.contains_key("authorization");
    assert!(fake.hub.requests().iter().all(has_token));
    assert_eq!(fake.storage.count("GET"), 1);
    assert!(!fake.storage.requests().iter().any(has_token));
}

#[test]
fn a_refusal_is_one_line_with_what_may_help() {
    let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
    let error = |name: &str, revision: &str| {
        let error = machine.hub(&fake, &[]).repository(name, revision).unwrap_err();
        error.to_string()
    };
    let unknown = error("google/bit-51", "main");
    assert!(
        unknown.contains("google/bit-51@main: 404") && unknown.ends_with("check the name and the revision")
    );
    let revision = error(NAME, "v9");
    assert!(revision.contains("google/bit-50@v9: 404"), "{revision}");
    fake.require_token("hf_secret");
    let private = error(NAME, "main");
    assert!(
        private.contains("401, Invalid username or password."),
        "{private}"
    );
    assert!(
        private.ends_with("set HF_TOKEN to a token that may read it"),
        "{private}"
    );
    assert!(machine.listing().is_empty());

    let (machine, fake) = (Machine::new(), Fake::with(&[("config.json", b"{}")]));
    let empty = machine
        .hub(&fake, &[])
        .repository(NAME, "main")
        .unwrap_err()
        .to_string();
    assert!(empty.contains("it has none of model.safetensors, "), "{empty}");
}

#[test]
fn a_busy_server_is_asked_again_when_it_says_and_then_later_and_later() {
    let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
    fake.trouble_hub(&[Trouble::Status(429, Some(7)), Trouble::Status(503, None)]);
    fake.trouble_storage(&[Trouble::Status(500, None)]);
    machine.hub(&fake, &[]).repository(NAME, "main").unwrap();
    let expected = [
        "127.0.0.1 answers 429 Too Many Requests: 7s",
        "127.0.0.1 answers 503 Service Unavailable: 2s",
        "127.0.0.1 answers 500 Internal Server Error: 1s",
    ];
    assert_eq!(machine.heard(), expected.join("\n"));
}

#[test]
fn patience_ends() {
    let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
    fake.trouble_hub(&[const { Trouble::Status(429, None) }; 5]);
    let busy = machine
        .hub(&fake, &[])
        .repository(NAME, "main")
        .unwrap_err()
        .to_string();
    assert!(
        busy.contains("429 Too Many Requests") && busy.contains("hf download"),
        "{busy}"
    );
    assert_eq!(fake.hub.requests().len(), 5);
    fake.trouble_hub(&[Trouble::Status(429, Some(3600))]);
    machine.hub(&fake, &[]).repository(NAME, "main").unwrap_err();
    assert_eq!(fake.hub.requests().len(), 6, "an hour is too long a pause");
}

#[test]
fn a_cut_download_goes_on_where_it_was() {
    let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
    fake.trouble_storage(&[Trouble::Cut(1000), Trouble::Cut(2000)]);
    let folder = machine.hub(&fake, &[]).repository(NAME, "main").unwrap();
    assert_eq!(fs::read(folder.join(SAFETENSORS)).unwrap(), weights());
    let asked: Vec<_> = fake
        .storage
        .requests()
        .iter()
        .map(|request| request.headers.get("range").cloned())
        .collect();
    assert_eq!(
        asked,
        [
            None,
            Some("bytes=1000-".to_owned()),
            Some("bytes=3000-".to_owned())
        ]
    );
}

/// Where the weights are until they are complete.
fn partial(machine: &Machine) -> PathBuf {
    let blobs = machine.cache().join("models--google--bit-50/blobs");
    fs::create_dir_all(&blobs).unwrap();
    transfer::partial(&blobs.join(sha256(&weights())), true)
}

#[test]
fn the_next_run_goes_on_too_and_a_server_without_parts_begins_anew() {
    for (trouble, expected) in [
        (None, Some("bytes=5000-")),
        (Some(Trouble::Whole), Some("bytes=5000-")),
    ] {
        let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
        let partial = partial(&machine);
        fs::write(&partial, &weights()[..5000]).unwrap();
        fake.trouble_storage(trouble.as_slice());
        let folder = machine.hub(&fake, &[]).repository(NAME, "main").unwrap();
        assert_eq!(fs::read(folder.join(SAFETENSORS)).unwrap(), weights());
        let asked = fake.storage.requests();
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].headers.get("range").map(String::as_str), expected);
        assert!(!partial.exists());
    }
}

#[test]
fn a_beginning_of_something_else_is_noticed_and_fetched_again() {
    let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
    let partial = partial(&machine);
    for length in [5000, weights().len(), weights().len() + 1] {
        fs::write(&partial, vec![7; length]).unwrap();
        let folder = machine.hub(&fake, &[]).repository(NAME, "main").unwrap();
        assert_eq!(fs::read(folder.join(SAFETENSORS)).unwrap(), weights(), "{length}");
        fs::remove_file(partial.with_file_name(sha256(&weights()))).unwrap();
    }
}

#[test]
fn nothing_of_a_wrong_content_is_kept() {
    let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
    fake.trouble_storage(&[Trouble::Altered]);
    let error = machine.hub(&fake, &[]).repository(NAME, "main").unwrap_err();
    assert!(matches!(error, PretrainedError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains(&sha256(&weights())), "{error}");
    let kept = machine.listing();
    assert!(
        !kept.keys().any(|name| name.contains(&sha256(&weights()))),
        "{kept:?}"
    );
    assert!(!kept.keys().any(|name| name.contains("refs")), "{kept:?}");
}

#[test]
fn of_two_downloads_at_once_one_waits_for_the_other() {
    let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
    let (waits, is_waiting) = mpsc::channel();
    let second = machine.hub(&fake, &[]).with_progress(move |event| {
        if let HubEvent::Waiting { name } = event {
            waits.send(name.to_owned()).unwrap();
        }
    });
    let second = Mutex::new(Some((second, is_waiting)));
    let started = Arc::new(Mutex::new(None));
    let handle = Arc::clone(&started);
    // In the midst of the first download the second begins, and the first goes on when the second waits for it.
    let first = machine.hub(&fake, &[]).with_progress(move |event| {
        let is_weights = matches!(event, HubEvent::Bytes(count) if count > 100);
        if let Some((hub, is_waiting)) = is_weights.then(|| second.lock().unwrap().take()).flatten() {
            let running = thread::spawn(move || hub.repository(NAME, "main").unwrap());
            *handle.lock().unwrap() = Some(running);
            assert_eq!(is_waiting.recv().unwrap(), "google/bit-50: model.safetensors");
        }
    });
    let folder = first.repository(NAME, "main").unwrap();
    let running = started.lock().unwrap().take().unwrap();
    assert_eq!(running.join().unwrap(), folder);
    assert_eq!(fake.storage.count("GET"), 1);
}

#[test]
fn a_file_of_tensors_that_is_not_the_model_does_not_count_as_its_weights() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["config.json", "preprocessor_config.json", "training_args.bin"];
    for name in names {
        fs::write(folder.path().join(name), "{}").unwrap();
    }
    let absent = folder.path().join("absent");
    let snapshot = Snapshot {
        folder: folder.path().to_path_buf(),
        absent,
    };
    assert!(!files::is_complete(&snapshot));
    fs::write(folder.path().join(PICKLE), "weights").unwrap();
    assert!(files::is_complete(&snapshot));
}

#[test]
fn downloads_that_cannot_be_locked_do_not_share_a_file() {
    let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
    let hub = machine.hub(&fake, &[]);
    let target = machine.folder.path().join("weights");
    let shared = transfer::partial(&target, true);
    fs::write(&shared, "of somebody else").unwrap();
    let url = format!("{}/{SAFETENSORS}", fake.storage.address);
    let transfer = transfer::Transfer {
        name: SAFETENSORS,
        url: &url,
        size: None,
        digest: None,
        target: &target,
        limit: transfer::MAX_WEIGHTS,
        is_alone: false,
    };
    let client = client::Client::new(&hub.settings.way, &url, None).unwrap();
    transfer.run(&hub, &client).unwrap();
    assert_eq!(fs::read(&target).unwrap(), weights());
    assert_eq!(fs::read(&shared).unwrap(), b"of somebody else");

    let small = transfer::Transfer {
        limit: 1000,
        ..transfer
    };
    assert!(small.run(&hub, &client).is_err());
    assert_eq!(fs::read_dir(machine.folder.path()).unwrap().count(), 2);
}

#[test]
fn offline_nobody_is_asked() {
    let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
    for variable in ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"] {
        let hub = machine.hub(&fake, &[(variable, "1")]);
        let line = hub.repository(NAME, "main").unwrap_err().to_string();
        let folder = machine.cache().join("models--google--bit-50");
        assert!(
            line.starts_with("google/bit-50@main is not in the cache: looked in "),
            "{line}"
        );
        assert!(
            line.contains(folder.to_str().unwrap()) && line.contains(variable),
            "{line}"
        );
        assert!(
            line.ends_with("get it with `hf download google/bit-50 --revision main`"),
            "{line}"
        );
        assert!(hub.google("BiT-M-R50x1.npz").is_err());
    }
    assert!(fake.hub.requests().is_empty() && fake.storage.requests().is_empty());
}

#[test]
fn without_a_network_one_line_says_what_where_and_how_to_get_it() {
    let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
    // Nobody listens at port 1.
    let nobody = [
        ("HF_ENDPOINT", "http://127.0.0.1:1"),
        ("BIT_BURN_GOOGLE_URL", "http://127.0.0.1:1"),
    ];
    let hub = machine.hub(&fake, &nobody);
    let line = hub.repository(NAME, "main").unwrap_err().to_string();
    for part in [
        "google/bit-50@main is not in the cache (looked in ",
        machine.cache().to_str().unwrap(),
        "http://127.0.0.1:1 cannot be reached",
        "get it with `hf download google/bit-50 --revision main`",
    ] {
        assert!(line.contains(part), "no `{part}` in {line}");
    }
    let line = hub.google("BiT-M-R50x1.npz").unwrap_err().to_string();
    assert!(
        line.contains("get http://127.0.0.1:1/BiT-M-R50x1.npz by hand"),
        "{line}"
    );
    assert!(!line.contains('\n'));
}

#[test]
fn a_cache_without_the_processor_is_used_when_there_is_no_network() {
    let (machine, fake) = (Machine::new(), Fake::with_weights(SAFETENSORS));
    let folder = machine.hub(&fake, &[]).repository(NAME, "main").unwrap();
    fs::remove_file(folder.join("preprocessor_config.json")).unwrap();
    let nobody = machine.hub(&fake, &[("HF_ENDPOINT", "http://127.0.0.1:1")]);
    assert_eq!(nobody.repository(NAME, "main").unwrap(), folder);
    assert!(machine.heard().contains("no network"), "{}", machine.heard());
    machine.hub(&fake, &[]).repository(NAME, "main").unwrap();
    assert!(folder.join("preprocessor_config.json").exists());
}

#[test]
fn googles_files_are_fetched_once_resumed_and_summed_up() {
    const FILE: &str = "BiT-M-R50x1.npz";
    let (machine, fake) = (Machine::new(), Fake::with(&[(FILE, &weights())]));
    fake.trouble_storage(&[Trouble::Cut(1000), Trouble::Status(429, Some(3))]);
    for _ in 0..2 {
        let path = machine.hub(&fake, &[]).google(FILE).unwrap();
        assert_eq!(fs::read(&path).unwrap(), weights());
        assert!(path.starts_with(machine.folder.path().join("home/assets/bit-burn")));
    }
    assert_eq!(fake.storage.count("GET"), 3);

    let (machine, fake) = (Machine::new(), Fake::with(&[(FILE, &weights())]));
    fake.trouble_storage(&[Trouble::Altered]);
    let error = machine.hub(&fake, &[]).google(FILE).unwrap_err().to_string();
    assert!(error.contains("CRC-32C"), "{error}");
    let folder = machine
        .folder
        .path()
        .join("home/assets/bit-burn/google/bit_models");
    let kept: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(kept, ["BiT-M-R50x1.npz.lock"]);
}
