"""Downloads from a server of our own: every way they can fail, and that nothing half-written is left."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from labkit import course, data
from labkit.errors import LabkitError

ROWS = 3000
IMAGES = np.random.default_rng(0).integers(0, 256, (ROWS, 8, 8), dtype=np.uint8)
LABELS = np.random.default_rng(1).integers(0, 10, ROWS, dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    sides = b"".join(side.to_bytes(4, "big") for side in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sides + array.tobytes()


CONTENT = {"images": idx(IMAGES), "labels": idx(LABELS)}

Answer = Callable[[http.server.BaseHTTPRequestHandler, bytes], None]


def good(request: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)


class Server:
    """Serves ``/MIRROR/FILE``. ``answers[MIRROR]`` says how; ``gets`` counts the requests for each path."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.gets: Counter[str] = Counter()
        self.open = threading.Event()  # set it, and answers that wait go on; always set at the end of a test
        lock, server = threading.Lock(), self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with lock:
                    server.gets[self.path] += 1
                _, mirror, file = self.path.split("/")
                with contextlib.suppress(ConnectionError):  # clients of these tests hang up, or are killed
                    server.answers[mirror](self, CONTENT[file])

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.open.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


class World:
    """A folder of data sets holding 'toy', whose two files are at ``mirrors``, and an empty cache."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.datasets, self.cache = folder / "datasets", folder / "cache"
        self.datasets.mkdir()
        monkeypatch.setattr(course, "datasets_folder", lambda: self.datasets)
        for name in ("LABKIT_DATA", "LABKIT_OFFLINE", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("LABKIT_CACHE", str(self.cache))
        monkeypatch.setenv("LABKIT_TIMEOUT", "30")

    def card(self, *mirrors: str, sha256: str = "", hash_of: str = "file") -> None:
        files = ""
        for name, content in CONTENT.items():
            urls = ", ".join(f'"{mirror}/{name}"' for mirror in mirrors)
            digest = sha256 or hashlib.sha256(content).hexdigest()
            files += f'[[files]]\nname = "{name}"\nsize = {len(content)}\nsha256 = "{digest}"\n'
            files += f'hash_of = "{hash_of}"\nurls = [{urls}]\n'
        self.datasets.joinpath("toy.toml").write_text(
            'title = "Toy"\nrow = "r"\nlicence = "l"\ncitation = "c"\nsource = "s"\n'
            f"classes = {list('0123456789')}\n"
            f'[splits.all]\nabout = "a"\nrows = {ROWS}\nshape = [8, 8]\nreader = "idx"\nfiles = ["images", "labels"]\n'
            + files
        )

    def load(self) -> None:
        """Load 'toy' and check it value by value."""
        images, labels = data.load("toy", "all", progress=False)
        np.testing.assert_array_equal(images, IMAGES)
        np.testing.assert_array_equal(labels, LABELS)

    def fails(self) -> str:
        """Load 'toy', which must fail with the one kind of error; its text."""
        with pytest.raises(LabkitError) as caught:
            data.load("toy", "all", progress=False)
        message = str(caught.value)
        assert "images" in message and "toy" in message
        assert "\n" not in message
        return message

    def left(self) -> set[str]:
        """Every file of the cache but the lock files, which are empty and stay."""
        found = {path for path in self.cache.rglob("*") if path.is_file()}
        locks = {path for path in found if path.suffix == ".lock"}
        assert all(path.stat().st_size == 0 for path in locks)
        return {path.relative_to(self.cache).as_posix() for path in found - locks}

    def whole(self) -> None:
        """The cache holds both files, right to the byte, and nothing else."""
        assert self.left() == {"toy/images", "toy/labels"}
        for name, content in CONTENT.items():
            assert (self.cache / "toy" / name).read_bytes() == content


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


# A process of its own that loads 'toy'. It says "ready" first, and last "ok" or the error.
CHILD = """
import sys
from pathlib import Path
from labkit import course, data
from labkit.errors import LabkitError
course.datasets_folder = lambda: Path(sys.argv[1])
print("ready", flush=True)
try:
    images, labels = data.load("toy", "all", progress=False)
    print("ok", int(images.sum()), int(labels.sum()), flush=True)
except LabkitError as error:
    print("error", error, flush=True)
"""
OK = f"ok {int(IMAGES.sum())} {int(LABELS.sum())}"


def start(world: World, *before: str, preamble: str = "") -> subprocess.Popen[str]:
    command = [*before, sys.executable, "-c", preamble + CHILD, str(world.datasets)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# ---------------------------------------------------------------- mirrors


def test_download_then_cache(world: World, server: Server) -> None:
    server.answers["a"] = good
    world.card(f"{server.address}/a")
    assert not data.available("toy", "all")
    assert data.where("toy", "all").startswith("network, 0.2 MB")
    world.load()
    world.whole()
    world.load()
    assert server.gets == {"/a/images": 1, "/a/labels": 1}
    assert data.available("toy", "all") and data.where("toy", "all") == "cache"


def test_fetch_and_progress(world: World, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers["a"] = good
    world.card(f"{server.address}/a")
    report = data.fetch("toy")
    assert report.count("right") == 2 and str(world.cache / "toy" / "labels") in report
    assert "images" in capsys.readouterr().err
    world.whole()
    assert data.verify("toy") == report


def answer_404(request: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
    request.send_error(404)


def answer_500(request: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
    request.send_error(503)


def answer_login(request: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
    """What a hotel's network does."""
    good(request, b"<html>Please accept our terms</html>")


def answer_wrong(request: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
    good(request, content[:-1] + bytes([content[-1] ^ 1]))


def answer_truncated(request: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
    """Promises everything, sends half, hangs up."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content[: len(content) // 2])


def answer_truncated_unsaid(request: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
    """Promises nothing, sends half: only the card knows that something is missing."""
    request.send_response(200)
    request.end_headers()
    request.wfile.write(content[: len(content) // 2])


def answer_too_much(request: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
    request.send_response(200)
    request.end_headers()
    request.wfile.write(content)
    for _ in range(1000):
        request.wfile.write(bytes(100_000))


def answer_no_http(request: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
    request.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")


def answer_nonsense_length(request: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "many")
    request.end_headers()
    request.wfile.write(content[:10])


BAD = {
    "404": (answer_404, "the server answers 404 Not Found"),
    "503": (answer_500, "the server answers 503"),
    "login page": (answer_login, "truncated, 36 of"),
    "wrong": (answer_wrong, "its sha256 is"),
    "truncated": (answer_truncated, "broke off after"),
    "truncated, unsaid": (answer_truncated_unsaid, "truncated, 96,008 of 192,016 bytes"),
    "too much": (answer_too_much, "more than the 192,016 bytes expected"),
    "no http": (answer_no_http, "no connection"),
    "nonsense length": (answer_nonsense_length, ""),
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_answer_then_mirror(world: World, server: Server, fault: str) -> None:
    server.answers |= {"bad": BAD[fault][0], "good": good}
    world.card(f"{server.address}/bad", f"{server.address}/good")
    world.load()
    world.whole()
    assert server.gets["/bad/images"] == server.gets["/good/images"] == 1


@pytest.mark.parametrize("fault", BAD)
def test_bad_answers_everywhere(world: World, server: Server, fault: str) -> None:
    server.answers |= {"a": BAD[fault][0], "b": answer_404}
    world.card(f"{server.address}/a", f"{server.address}/b")
    message = world.fails()
    assert f"{server.address}/a/images: " in message and BAD[fault][1] in message
    assert f"{server.address}/b/images: the server answers 404 Not Found" in message
    assert "labkit data fetch toy" in message and "LABKIT_DATA" in message
    assert world.left() == set()


def test_wrong_hash_is_not_kept_although_the_size_is_right(world: World, server: Server) -> None:
    server.answers["a"] = good
    world.card(f"{server.address}/a", sha256="0" * 64)
    assert "expected 000000000000" in world.fails()
    assert world.left() == set()


def test_hash_of_content_also_limits_the_download(world: World, server: Server) -> None:
    server.answers |= {"bad": answer_too_much, "good": good}
    world.card(f"{server.address}/bad", f"{server.address}/good", hash_of="content")
    world.load()
    world.whole()


def test_first_file_is_kept_when_the_second_fails(world: World, server: Server) -> None:
    """What was verified need not be fetched again."""

    def only_images(request: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
        (good if request.path.endswith("images") else answer_404)(request, content)

    server.answers["a"] = only_images
    world.card(f"{server.address}/a")
    with pytest.raises(LabkitError, match="The file labels of the data set toy"):
        data.load("toy", "all", progress=False)
    assert world.left() == {"toy/images"}
    server.answers["a"] = good
    world.load()
    assert server.gets["/a/images"] == 1


# ---------------------------------------------------------------- time


def test_stalled_server_is_given_up(world: World, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a file and then silence; the mirror takes over although the first server never hangs up."""

    def stalled(request: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
        answer_truncated(request, content)
        server.open.wait()

    server.answers |= {"stalled": stalled, "good": good}
    monkeypatch.setenv("LABKIT_TIMEOUT", "0.5")
    world.card(f"{server.address}/stalled", f"{server.address}/good")
    world.load()
    world.whole()
    world.card(f"{server.address}/stalled")
    (world.cache / "toy" / "images").unlink()
    assert "no answer for 0.5 seconds, after" in world.fails()
    assert world.left() == {"toy/labels"}


def test_silent_server_is_given_up(world: World, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes the connection and says nothing at all."""
    server.answers["silent"] = lambda request, content: server.open.wait() and None
    monkeypatch.setenv("LABKIT_TIMEOUT", "0.5")
    world.card(f"{server.address}/silent")
    assert "no answer for 0.5 seconds, after 0 bytes" in world.fails()


def test_slow_but_steady_is_not_given_up(world: World, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes longer than the time-out in all, yet is never silent for as long."""
    pieces, pause, timeout = 12, 0.2, 2.0
    assert pieces * pause > timeout

    def slow(request: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        size = -(-len(content) // pieces)
        for first in range(0, len(content), size):
            if request.path.endswith("images"):
                server.open.wait(pause)  # nobody opens it before the end: this server is slow, nothing waits for it
            request.wfile.write(content[first : first + size])

    server.answers["slow"] = slow
    monkeypatch.setenv("LABKIT_TIMEOUT", str(timeout))
    world.card(f"{server.address}/slow")
    world.load()
    assert server.gets == {"/slow/images": 1, "/slow/labels": 1}


@pytest.mark.parametrize("text", ["soon", "0", "-3", "inf", "nan"])
def test_timeout_that_is_no_time(world: World, server: Server, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    server.answers["a"] = good
    world.card(f"{server.address}/a")
    monkeypatch.setenv("LABKIT_TIMEOUT", text)
    with pytest.raises(LabkitError, match=f"LABKIT_TIMEOUT is '{text}'"):
        data.load("toy", "all", progress=False)


# ---------------------------------------------------------------- no network


def test_connection_refused(world: World, server: Server) -> None:
    """Nobody listens there. The mirror still helps; alone, it is one error."""
    closed = Server()
    closed.close()
    server.answers["good"] = good
    world.card(f"{closed.address}/a")
    assert "Connection refused" in world.fails()
    assert world.left() == set()
    world.card(f"{closed.address}/a", f"{server.address}/good")
    world.load()


def test_no_such_host(world: World) -> None:
    world.card("http://no-such-host.invalid")
    assert "no connection" in world.fails()


def test_offline_asks_nobody(world: World, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers["a"] = good
    world.card(f"{server.address}/a")
    monkeypatch.setenv("LABKIT_OFFLINE", "1")
    assert "LABKIT_OFFLINE is set" in world.fails()
    assert not server.gets and not world.cache.exists()
    monkeypatch.setenv("LABKIT_OFFLINE", "0")
    world.load()
    monkeypatch.setenv("LABKIT_OFFLINE", "1")
    world.load()


# ---------------------------------------------------------------- the disk


def test_cache_where_a_file_is(world: World, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers["a"] = good
    world.card(f"{server.address}/a")
    world.cache.write_text("a file")
    message = world.fails()
    assert "cannot be kept" in message and str(world.cache) in message and "LABKIT_CACHE" in message
    assert not server.gets
    assert world.cache.read_text() == "a file"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where not even root may write")
def test_cache_that_is_read_only(world: World, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers["a"] = good
    world.card(f"{server.address}/a")
    monkeypatch.setenv("LABKIT_CACHE", "/proc/self/labkit")
    message = world.fails()
    assert "cannot be kept in /proc/self/labkit" in message and "LABKIT_CACHE" in message
    assert not server.gets


def can_unshare() -> bool:
    try:
        return subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0
    except OSError:
        return False


def in_namespace(world: World, mount: str) -> tuple[list[str], str]:
    """A command that mounts something of its own over the cache; it prints what is left there when it is done."""
    script = f'{mount} "$0" && "$@"; find "$0" -type f ! -name "*.lock"'
    return ["unshare", "-rm", "sh", "-c", script, str(world.cache)], ""


@pytest.mark.skipif(not can_unshare(), reason="this system lets nobody mount a file system for a test")
def test_full_disk(world: World, server: Server) -> None:
    """A cache with 64 KiB of room for a file of 188 KiB: ENOSPC, as on a full disk."""
    server.answers |= {"a": good, "b": good}
    world.card(f"{server.address}/a", f"{server.address}/b")
    world.cache.mkdir()
    command, preamble = in_namespace(world, "mount -t tmpfs -o size=64k none")
    out, err = start(world, *command, preamble=preamble).communicate(timeout=60)
    assert "No space left on device" in out and "LABKIT_CACHE" in out, err
    assert out.count("\n") == 2, "'ready' and one line of error; no file is left on the full disk"
    assert server.gets == {"/a/images": 1}, "another mirror cannot help a full disk"


@pytest.mark.skipif(not can_unshare(), reason="this system lets nobody mount a file system for a test")
def test_read_only_disk_with_the_files_on_it(world: World, server: Server) -> None:
    """Reading needs no writing: a cache on a read-only disk serves what it has, and says why it cannot take more."""
    server.answers["a"] = good
    world.card(f"{server.address}/a")
    world.load()
    server.gets.clear()
    mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro none'
    command, preamble = in_namespace(world, mount)
    out, err = start(world, *command, preamble=preamble).communicate(timeout=60)
    assert OK in out, err
    assert not server.gets
    (world.cache / "toy" / "labels").unlink()
    out, err = start(world, *command, preamble=preamble).communicate(timeout=60)
    assert "labels" in out and "Read-only file system" in out, err


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on file sizes")
def test_file_size_limit(world: World, server: Server) -> None:
    """The same by other means, for systems on which no file system can be mounted: EFBIG in the middle of a write."""
    server.answers["a"] = good
    world.card(f"{server.address}/a")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
    out, err = start(world, preamble=limit).communicate(timeout=60)
    assert "File too large" in out and "cannot be kept" in out and out.count("\n") == 2, err
    assert world.left() == set()


def test_damaged_later_is_noticed_and_fetched_again(world: World, server: Server) -> None:
    server.answers["a"] = good
    world.card(f"{server.address}/a")
    world.load()
    cached = world.cache / "toy" / "images"
    content = bytearray(cached.read_bytes())
    content[5000] ^= 1
    cached.write_bytes(content)
    assert not_quietly(lambda: data.available("toy", "all")) is False
    not_quietly(world.load)
    world.whole()
    assert server.gets == {"/a/images": 2, "/a/labels": 1}


def test_damaged_later_and_no_network(world: World, server: Server) -> None:
    server.answers["a"] = good
    world.card(f"{server.address}/a")
    world.load()
    cached = world.cache / "toy" / "images"
    cached.write_bytes(cached.read_bytes()[:1000])
    server.answers["a"] = answer_404
    message = not_quietly(world.fails)
    assert f"{cached}: it is truncated, 1,000 of" in message and "404" in message


def not_quietly(call: Callable[[], object]) -> object:
    with pytest.warns(UserWarning, match=r"images is passed over"):
        return call()


# ---------------------------------------------------------------- many processes, and dead ones


def test_eight_processes_fetch_once(world: World, server: Server) -> None:
    def gated(request: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
        server.open.wait()  # until all eight have begun
        good(request, content)

    server.answers["a"] = gated
    world.card(f"{server.address}/a")
    children = [start(world) for _ in range(8)]
    for child in children:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
    server.open.set()
    for child in children:
        out, err = child.communicate(timeout=120)
        assert out.strip() == OK, err
    assert server.gets == {"/a/images": 1, "/a/labels": 1}
    world.whole()


def start_and_hold_half_way(world: World, server: Server) -> subprocess.Popen[str]:
    """A process that has received half of its first file, from a server that sends no more."""
    half_sent = threading.Event()

    def half(request: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
        answer_truncated(request, content)
        half_sent.set()
        server.open.wait()

    server.answers["a"] = half
    world.card(f"{server.address}/a")
    child = start(world)
    assert half_sent.wait(60)
    return child


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_in_the_middle(world: World, server: Server) -> None:
    """kill -9 while half a file is there: it is not taken for the file, blocks nobody, and is gone after the next."""
    child = start_and_hold_half_way(world, server)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate(timeout=60)
    assert not (world.cache / "toy" / "images").exists()
    assert not data.available("toy", "all")
    server.answers["a"] = good
    world.load()
    world.whole()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_interrupted_in_the_middle(world: World, server: Server) -> None:
    """Ctrl-C, which a learner in a notebook does press: nothing is left at once."""
    child = start_and_hold_half_way(world, server)
    os.kill(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert "KeyboardInterrupt" in err and "ok" not in out
    assert world.left() == set()


def test_leftover_of_a_killed_process_is_overwritten(world: World, server: Server) -> None:
    server.answers["a"] = good
    world.card(f"{server.address}/a")
    folder = world.cache / "toy"
    folder.mkdir(parents=True)
    (folder / ".images.part").write_bytes(CONTENT["images"] + b"and more")
    world.load()
    world.whole()
