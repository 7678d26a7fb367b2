"""The package from outside: cheap to import, whole in a wheel, and no danger to a platform's own stack."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import time
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from labkit.build import setup_code
from labkit.course import load_course

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "tensorflow", "jax", "keras", "matplotlib", "numpy", "IPython", "sklearn")


def python(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=os.environ | environment, cwd=ROOT, check=True
    )
    return done.stdout


def test_importing_labkit_loads_no_framework() -> None:
    code = f"import sys, labkit, labkit.errors; print([name for name in {HEAVY} if name in sys.modules])"
    assert python("-c", code).strip() == "[]"


@pytest.mark.parametrize(
    "module", sorted(path.stem for path in (ROOT / "labkit").glob("*.py") if path.stem not in ("__init__", "_setup"))
)
def test_every_module_can_be_imported_alone_and_loads_no_framework(module: str) -> None:
    code = f"import sys, labkit.{module}; print([n for n in {HEAVY[:5]} if n in sys.modules])"
    assert python("-c", code).strip() == "[]"


def test_importing_labkit_adds_at_most_50_ms() -> None:
    """Best of several pairs: a bare start and one with the import, next to each other, so that noise hits both."""

    def seconds(code: str) -> float:
        started = time.perf_counter()
        python("-c", code)
        return time.perf_counter() - started

    extra = min(seconds("import labkit") - seconds("pass") for _ in range(7))
    assert extra <= 0.050


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    python("-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder), ".")
    return next(folder.glob("labkit-*.whl"))


def test_the_wheel_carries_manifest_cards_and_bundled_data(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"labkit/_course/datasets/{path.name}" for path in (ROOT / "datasets").glob("*.*")}
    assert {"labkit/_course/datasets/mnist-10k.npz", "labkit/_course/datasets/mnist.toml"} <= wanted
    wanted |= {f"labkit/tpu_reports/{path.name}" for path in (ROOT / "labkit" / "tpu_reports").glob("*.json")}
    wanted |= {"labkit/_course/notebooks/course.toml", "labkit/exercises/lenet.py", "labkit/prices.toml"}
    assert wanted <= names
    assert not [name for name in names if "__pycache__" in name or ".venv" in name]


def site_packages(venv: Path) -> Path:
    return Path(sysconfig.get_path("purelib", vars={"base": str(venv), "platbase": str(venv)}))


def pretend(venv: Path, name: str, version: str) -> None:
    """Install a package in name only, as far as pip can tell."""
    info = site_packages(venv) / f"{name}-{version.replace('+', '_')}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "INSTALLER").write_text("pip\n")
    (info / "RECORD").write_text(f"{info.name}/METADATA,,\n{info.name}/INSTALLER,,\n{info.name}/RECORD,,\n")


def colab_command() -> list[str]:
    """The arguments that the set-up cell of a lab gives to pip, for the commit that is checked out here."""
    course = load_course()
    found = re.search(r'%pip install -q "(.*)"', setup_code(course, course.lab("lenet")))
    assert found is not None
    assert found[1].endswith(f"{course.repository}@{course.branch}")
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    return ["install", "-q", found[1].removesuffix(course.branch) + commit.stdout.strip()]


def instead_of_github() -> dict[str, str]:
    """An environment in which git finds this checkout at the repository's address."""
    return os.environ | {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.file://{ROOT}.insteadOf",
        "GIT_CONFIG_VALUE_0": load_course().repository,
        "GIT_CONFIG_KEY_1": "safe.directory",
        "GIT_CONFIG_VALUE_1": "*",
    }


def versions(venv: Path) -> dict[str, str]:
    out = subprocess.run(
        [venv / "bin" / "python", "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    )
    return dict(line.split("==") for line in out.stdout.split() if "==" in line)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the Colab cell installs from a git repository")
def test_the_colab_cell_leaves_the_platforms_stack_as_it_is(tmp_path: Path) -> None:
    """pip may fetch nothing here, so wanting to replace any of the platform's packages would make it fail."""
    venv = tmp_path / "platform"
    python("-m", "venv", str(venv))
    theirs = {"torch": "2.6.0+cu124", "numpy": "2.0.2", "jax": "0.5.2", "tensorflow": "2.18.0", "keras": "3.8.0"}
    for name, version in theirs.items():
        pretend(venv, name, version)
    # labkit's other needs are there, as they are on Colab: those of this environment, behind the platform's own
    (site_packages(venv) / "rest.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run(
        [venv / "bin" / "python", "-m", "pip", *colab_command(), "--no-index", "--no-build-isolation"],
        check=True,
        env=instead_of_github(),
    )
    now = versions(venv)
    assert {name: now[name] for name in theirs} == theirs
    assert (site_packages(venv) / "labkit" / "_course" / "datasets" / "mnist-10k.npz").is_file()


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the Colab cell installs from a git repository")
def test_labkit_works_without_a_checkout_beside_another_numpy(tmp_path: Path) -> None:
    """The same with packages from the index: another real numpy stays, and the bundled digits load."""
    venv = tmp_path / "platform"
    python("-m", "venv", str(venv))
    pip = [venv / "bin" / "python", "-m", "pip"]
    subprocess.run([*pip, "install", "-q", "numpy==2.2.6"], check=True)
    pretend(venv, "torch", "2.6.0+cu124")
    subprocess.run([*pip, *colab_command()], check=True, env=instead_of_github())
    now = versions(venv)
    assert (now["numpy"], now["torch"]) == ("2.2.6", "2.6.0+cu124")
    code = "from labkit.data import load; import labkit.course as c; X, y = load('mnist', 'train'); print(X.shape, len(c.load_course().labs))"
    done = subprocess.run(
        [venv / "bin" / "python", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == f"(8000, 28, 28) {len(load_course().labs)}"


def test_extras_are_what_the_readme_promises() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"torch", "tensorflow", "jax", "tpu", "grading", "dev", "all"} <= set(project["optional-dependencies"])
    needs = [*project["dependencies"], *(item for extra in project["optional-dependencies"].values() for item in extra)]
    closed = [item for item in needs if {one.operator for one in Requirement(item).specifier} - {">="}]
    assert not closed, "pyproject.toml keeps open ranges; the tested set stands in constraints.txt"
    assert not [item for item in project["dependencies"] if re.match("torch|tensorflow|jax|keras", item)]


def test_the_tested_set_names_every_direct_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {
        line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    needs = [
        *project["dependencies"],
        *(i for name, e in project["optional-dependencies"].items() if name != "tpu" for i in e),
    ]
    names = {re.match(r"[\w.-]+", item)[0].lower() for item in needs}  # type: ignore[index]
    assert names - {"labkit"} <= pinned
