"""The repository as a stranger meets it: links lead somewhere, badges point at files, nothing private is committed."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from labkit import build
from labkit.cli import _parser
from labkit.course import load_course

ROOT = Path(__file__).resolve().parents[2]
COURSE = load_course()


def tracked() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    found = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in found.stdout.split("\0") if name and (ROOT / name).is_file()]


def generated() -> list[Path]:
    return [target.path for target in build.targets(COURSE)]


def test_badges_point_at_notebooks_that_exist() -> None:
    seen = 0
    for path in generated():
        text = path.read_text(encoding="utf-8")
        links = re.findall(rf"/blob/{COURSE.branch}/([^)\s\"\\]+\.ipynb)|urlpath=lab/tree/([^)\s\"\\]+\.ipynb)", text)
        for pair in links:
            target = unquote(pair[0] or pair[1])
            assert (ROOT / target).is_file(), f"{path.name}: badge to {target}"
            seen += 1
    assert seen >= 2 * len(generated())


def test_relative_links_in_labs_and_pages_lead_somewhere() -> None:
    pages = {ROOT / name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")}
    for path in generated():
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        pages[path] = "\n".join(
            cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
            for cell in cells
            if cell["cell_type"] == "markdown"
        )
    for path, text in pages.items():
        for link in re.findall(r"\]\((?!https?:|#|attachment:)([^)\s]+)\)", text):
            assert (path.parent / link.split("#")[0]).exists(), f"{path.relative_to(ROOT)}: {link}"


def test_the_readme_lists_every_lab_and_every_verb() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for lab in COURSE.labs.values():
        assert f"[{lab.title}]({COURSE.relative(lab.notebook)})" in text, lab.id
    for verb in next(action for action in _parser()._actions if action.choices).choices:  # type: ignore[union-attr]
        assert re.search(rf"\b{verb}\b", text), verb


def test_no_outputs_caches_or_private_things_are_committed() -> None:
    private = re.compile(
        r"(^|/)(\.venv|__pycache__|\.ipynb_checkpoints|submitted|autograded|feedback)/|gradebook\.db|\.log$"
    )
    assert [name for name in tracked() if private.search(name)] == []
    for name in tracked():
        if name.endswith(".ipynb"):
            cells = json.loads((ROOT / name).read_text(encoding="utf-8"))["cells"]
            assert not any(cell.get("outputs") for cell in cells), f"{name} holds outputs"
    large = [name for name in tracked() if (ROOT / name).stat().st_size > 3_000_000]
    assert large == [], "large files belong on the network, with a hash in a card"


def test_no_path_of_a_machine_is_committed() -> None:
    home = re.compile(r"/(home|Users)/[a-z]\w+/|/root/|/work/main")
    for name in tracked():
        path = ROOT / name
        if path.suffix in {".md", ".py", ".toml", ".ipynb", ".yml", ".yaml", ".txt", ".json", ""} and path != Path(
            __file__
        ):
            found = home.search(path.read_text(encoding="utf-8", errors="replace"))
            assert not found, f"{name}: {found}"


def test_binder_installs_what_the_repository_pins() -> None:
    lines = (ROOT / "binder" / "requirements.txt").read_text().splitlines()
    constraint = next(line.split()[1] for line in lines if line.startswith("-c "))
    assert (ROOT / "binder" / constraint).resolve() == ROOT / "constraints.txt"
    assert any(line.startswith("-e .[") for line in lines)
    assert re.fullmatch(r"python-3\.1[1-9]\n", (ROOT / "binder" / "runtime.txt").read_text())


def test_the_workflow_runs_the_same_gate_as_people_do() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step] == ["bash .ci/run"]
    assert "make test-all" in (ROOT / ".ci" / "run").read_text()
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"], "versions of tools stand in constraints.txt alone"


def test_make_lists_its_commands() -> None:
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "make lab" in said
    assert "make test" in said
