"""What Python's huggingface_hub writes into its cache, as python_cache.json beside this script.

    python make_python_cache.py            writes the file, in a pinned Python (see CONTRIBUTING.md)
    python make_python_cache.py --serve    prints the address of a Hub with one repository, google/bit-50, and stays

The Hub is a server of this process: nothing is fetched from anywhere.
"""

import argparse
import hashlib
import http.server
import json
import os
import pathlib
import tempfile
import threading

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SMALL = {
    "config.json": '{"model_type": "bit"}\n',
    "preprocessor_config.json": '{"image_processor_type": "BitImageProcessor"}\n',
}
LARGE = {"pytorch_model.bin": "weights\n"}
ABSENT = ["model.safetensors", "model.safetensors.index.json"]


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers as the Hub does: a large file is described in a redirect to where it is."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        folder, name = self.path.rsplit("/", 1)
        if folder == "/large":
            return self.send(200, LARGE[name], {})
        headers = {"X-Repo-Commit": COMMIT}
        if name in SMALL:
            text = SMALL[name]
            blob = b"blob %d\0" % len(text) + text.encode()
            headers["ETag"] = f'"{hashlib.sha1(blob).hexdigest()}"'
            return self.send(200, text, headers)
        if name in LARGE:
            text = LARGE[name]
            headers["X-Linked-ETag"] = f'"{hashlib.sha256(text.encode()).hexdigest()}"'
            headers["X-Linked-Size"] = str(len(text))
            # Another name of the same machine is another host.
            headers["Location"] = f"http://localhost:{self.server.server_port}/large/{name}"
            return self.send(302, "", headers)
        headers["X-Error-Code"] = "EntryNotFound"
        return self.send(404, "Entry not found", headers)

    def send(self, status, text, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def start():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def listing(cache):
    """Every file with its text and every link with its target, without locks and the mark for backup programs."""
    entries = {}
    for path in sorted(cache.rglob("*")):
        name = path.relative_to(cache).as_posix()
        if name.startswith(".locks") or name == "CACHEDIR.TAG":
            continue
        if path.is_symlink():
            entries[name] = {"link": os.readlink(path)}
        elif path.is_file():
            entries[name] = {"text": path.read_text()}
    return entries


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", action="store_true")
    arguments = parser.parse_args()
    address = start()
    if arguments.serve:
        print(address, flush=True)
        threading.Event().wait()
    os.environ.update(HF_ENDPOINT=address, HF_HUB_OFFLINE="0", NO_PROXY="*")
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError

    with tempfile.TemporaryDirectory() as folder:
        for name in [*SMALL, *ABSENT, *LARGE]:
            try:
                huggingface_hub.hf_hub_download("google/bit-50", name, cache_dir=folder)
            except EntryNotFoundError:
                assert name in ABSENT, name
        written = {"huggingface_hub": huggingface_hub.__version__, "entries": listing(pathlib.Path(folder))}
    target = pathlib.Path(__file__).with_name("python_cache.json")
    target.write_text(json.dumps(written, indent=1) + "\n")


main()
