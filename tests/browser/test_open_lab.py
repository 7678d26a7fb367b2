"""A new user's first minute: ``make lab``, the printed address, a real browser, a cell that runs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from labkit.course import load_course

ROOT = Path(__file__).resolve().parents[2]
BROWSER = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

if BROWSER is None and os.environ.get("LABKIT_REQUIRE_BROWSER") != "1":
    pytestmark.append(pytest.mark.skip(reason="no chromium on this machine: apt install chromium"))


@contextmanager
def make_lab(port: int, *prefix: str) -> Iterator[tuple[str, list[str]]]:
    """Run ``make lab`` until it prints an address; yields the address and what was printed before it.

    JupyterLab keeps open tabs and settings in the user's home; here it gets a new home each time, as a new user has. But it
    does not save by itself what was run for two minutes: other tests read the notebooks of this checkout.
    """
    command = [*prefix, "make", "lab", f"PORT={port}", "BROWSER=0"]
    home = tempfile.TemporaryDirectory(prefix="jupyter-")
    settings = Path(home.name, "settings", "@jupyterlab", "docmanager-extension", "plugin.jupyterlab-settings")
    settings.parent.mkdir(parents=True)
    settings.write_text('{"autosave": false}')
    new = {"JUPYTERLAB_WORKSPACES_DIR": f"{home.name}/workspaces", "JUPYTERLAB_SETTINGS_DIR": f"{home.name}/settings"}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | new,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        for line in process.stdout:
            lines.append(line)
            found = re.search(r"http://127\.0\.0\.1:\d+/\S+", line)
            if found:
                yield found[0], lines
                return
        raise AssertionError("make lab ended without an address:\n" + "".join(lines))
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        home.cleanup()


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


@pytest.fixture
def page() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=QUIET)
        yield browser.new_page(viewport={"width": 1280, "height": 900})
        browser.close()


def run_all(page: Any, address: str, path: str, title: str) -> None:
    """Open a lab and run all its cells, without waiting for their end."""
    page.goto(address.replace("start/start-here.ipynb", path))
    page.locator(".jp-RenderedMarkdown h1", has_text=title).wait_for(timeout=60_000)
    page.click("text=Run >> nth=0")
    page.click(".lm-Menu-itemLabel:has-text('Run All Cells') >> nth=0")


def move_the_first_slider(page: Any) -> None:
    """Press a key on it, and wait for another picture, which comes when the cells that were started with it have run."""
    picture = page.locator(".jp-OutputArea-output .widget-image").first
    picture.wait_for(timeout=240_000)
    before = picture.get_attribute("src")
    handle = page.locator(".noUi-handle").first
    handle.scroll_into_view_if_needed()
    handle.focus()
    lowest = float(handle.get_attribute("aria-valuenow")) == float(handle.get_attribute("aria-valuemin"))
    page.keyboard.press("ArrowRight" if lowest else "ArrowLeft")
    page.wait_for_function("([node, old]) => node.src !== old", arg=[picture.element_handle(), before], timeout=240_000)


def test_the_start_page_opens_and_its_first_cells_run(page: Any, taken_port: int) -> None:
    with make_lab(taken_port) as (address, said):
        assert any(f"port {taken_port} is taken" in line for line in said)
        assert not any("install" in line.lower() for line in said), "a second make must not install anything"
        page.goto(address)
        page.wait_for_selector(".jp-RenderedMarkdown h1:has-text('Start here')", timeout=60_000)
        # The kernel is there and labkit is importable in it: run the set-up cell and look for its execution count.
        # A key that is pressed before the kernel has answered, or beside the editor, is lost.
        page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", timeout=60_000)
        page.locator(".jp-CodeCell .cm-content").first.press("Shift+Enter")
        page.wait_for_selector(".jp-CodeCell .jp-InputPrompt:has-text('[1]')", timeout=60_000)
        assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
        assert page.locator("text=Would you like to").count() == 0, "JupyterLab asks nothing of a new user"


def test_a_prediction_is_noted_and_a_slider_moves_the_picture(page: Any, tmp_path: Path) -> None:
    """What only a front end can show: the box takes a number, the claim below compares, the explorer redraws."""
    with make_lab(0) as (address, _):
        run_all(page, address, "foundations/linear-regression.ipynb", "A line through points")
        box = page.locator("input[placeholder='your guess, then Enter']").first
        box.wait_for(timeout=60_000)
        box.fill("1,000")
        box.press("Enter")
        page.wait_for_selector("text=noted: 1,000", timeout=30_000)

        move_the_first_slider(page)
        page.screenshot(path=tmp_path / "lab.png")


@pytest.mark.slow
@pytest.mark.parametrize("lab", ["optimizers", "convolution", "transformer", "sharding"])
def test_an_explorer_follows_its_slider(page: Any, lab: str) -> None:
    """The loss surface, the sliding window, the attention explorer and the pipeline, in a front end that can move them."""
    found = load_course().lab(lab)
    with make_lab(0) as (address, _):
        run_all(page, address, f"{found.part}/{found.id}.ipynb", found.title)
        move_the_first_slider(page)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs Linux network namespaces")
def test_a_second_make_lab_needs_no_network() -> None:
    """In a network namespace that holds nothing but loopback, the server starts and answers."""
    probe = subprocess.run(["unshare", "-rn", "true"], capture_output=True)
    if probe.returncode:
        pytest.skip("this machine allows no network namespaces")
    script = 'ip link set lo up && exec "$@"'
    with make_lab(0, "unshare", "-rn", "sh", "-c", script, "sh") as (address, said):
        assert not any("install" in line.lower() for line in said)
        with pytest.raises(OSError):  # the address is inside the namespace; reaching it from here would prove nothing
            urllib.request.urlopen(address, timeout=2)
