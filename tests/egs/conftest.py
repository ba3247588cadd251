"""What the recipes' tests share: their local modules, small corpora, a web server."""

import contextlib
import functools
import http.server
import importlib
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

EGS = Path(__file__).parents[2] / "egs"
# Stands for asr.sh: writes down its arguments, one line a call.
RECORDER = """#!/usr/bin/env bash
line=$(printf '%s\\t' "$@")
echo "${line}" >>calls # one write: two of these may run at a time
[ "${FAIL:-}" = "" ] || [[ "$*" != *"${FAIL}"* ]] || exit 1
"""


@functools.cache
def local_module(recipe, name):
    """Import egs/<recipe>/asr1/local/<name>.py as its own scripts would.

    Recipes have modules of the same name: each is imported with only its own folder in
    front of the path, and taken out of sys.modules again.
    """
    folder = EGS / recipe / "asr1" / "local"
    before = dict(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))
        for other in {p.stem for p in folder.glob("*.py")}:
            sys.modules.pop(other, None)
            if other in before:
                sys.modules[other] = before[other]


@pytest.fixture(scope="session")
def load():
    return local_module


def write_audio(path, seconds=0.1, fs=16000):
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(seconds * fs)) / fs
    soundfile.write(path, 0.1 * np.sin(2 * np.pi * 220 * time), fs)


@pytest.fixture
def make_cmu_voice():
    """Return a function that writes a voice in the CMU layout."""

    def make(folder, prompts):
        (folder / "etc").mkdir(parents=True)
        lines = [f'( {name} "{text}" )\n' for name, text in prompts.items()]
        (folder / "etc" / "txt.done.data").write_text("".join(lines), encoding="utf-8")
        for name in prompts:
            write_audio(folder / "wav" / f"{name}.wav")
        return folder

    return make


@pytest.fixture
def make_librispeech():
    """Return a function that writes ``{part: {speaker: {chapter: utterances}}}``."""

    def make(corpus, parts):
        for part, speakers in parts.items():
            for speaker, chapters in speakers.items():
                for chapter, count in chapters.items():
                    folder = corpus / part / str(speaker) / str(chapter)
                    lines = []
                    for n in range(count):
                        utt = f"{speaker}-{chapter}-{n:04d}"
                        write_audio(folder / f"{utt}.flac")
                        lines.append(f"{utt} IT'S SENTENCE {'A' * (n + 1)}\n")
                    trans = folder / f"{speaker}-{chapter}.trans.txt"
                    trans.write_text("".join(lines), encoding="utf-8")
        return corpus

    return make


def data_dir(folder):
    """Read the tables of a Kaldi data directory as ``{file: {key: value}}``."""
    return {
        name: dict(
            line.split(maxsplit=1)
            for line in (folder / name).read_text(encoding="utf-8").splitlines()
        )
        for name in ("wav.scp", "text", "utt2spk", "spk2utt")
    }


@pytest.fixture(scope="session")
def read_data():
    return data_dir


class FlakyServer:
    """A web server on this machine that can break off, as a long transfer does.

    Attributes:
        files: What it serves.
        break_after: For each connection to come, bytes after which it is cut; once the
            list is used up, connections are whole.
        ranges: The Range header of every request so far (None for none).
        etag: Sent with every file.
        length_header: Whether it says how long a file is.
    """

    def __init__(self):
        self.files = {}
        self.break_after = []
        self.ranges = []
        self.etag = '"one"'
        self.length_header = True
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                outer.answer(self)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def answer(self, handler):
        span = handler.headers.get("Range")
        self.ranges.append(span)
        content = self.files.get(handler.path.lstrip("/"))
        if content is None:
            handler.send_error(404)
            return
        start = 0
        if_range = handler.headers.get("If-Range")
        if span and (if_range is None or if_range == self.etag):
            start = int(span.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                handler.send_response(416)
                handler.send_header("Content-Range", f"bytes */{len(content)}")
                handler.send_header("Content-Length", "0")
                handler.end_headers()
                return
            handler.send_response(206)
            last = len(content) - 1
            handler.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
        else:
            handler.send_response(200)
        if self.length_header:
            handler.send_header("Content-Length", str(len(content) - start))
        handler.send_header("ETag", self.etag)
        handler.end_headers()
        stop = self.break_after.pop(0) if self.break_after else len(content)
        with contextlib.suppress(OSError):
            handler.wfile.write(content[start : start + stop])
        handler.close_connection = True

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def server():
    flaky = FlakyServer()
    yield flaky
    flaky.close()


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a recipe's run.sh and returns asr.sh's options."""

    def start(recipe, *options, code=0, **environment):
        shutil.copy(EGS / recipe / "asr1" / "run.sh", tmp_path)
        if not (tmp_path / "utils").exists():
            (tmp_path / "utils").symlink_to(EGS / recipe / "asr1" / "utils")
        (tmp_path / "asr.sh").write_text(RECORDER)
        (tmp_path / "asr.sh").chmod(0o755)
        (tmp_path / "path.sh").touch()
        (tmp_path / "local").mkdir(exist_ok=True)
        (tmp_path / "local" / "compare.py").write_text("import sys; print(sys.argv)")
        calls = tmp_path / "calls"
        calls.unlink(missing_ok=True)
        done = subprocess.run(
            ["./run.sh", *options],
            cwd=tmp_path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
        lines = calls.read_text().splitlines() if calls.exists() else []
        parsed = []
        for line in lines:
            words = []
            for word in line.split("\t")[:-1]:
                words += word.split("=", 1) if word.startswith("--") else [word]
            parsed.append(dict(zip(words[::2], words[1::2], strict=True)))
        start.out, start.err = done.stdout, done.stderr
        return parsed

    return start
