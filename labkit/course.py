"""The manifest ``notebooks/course.toml``: the only list of parts, labs and assignments."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from labkit._toml import TomlFile
from labkit.errors import unknown

PACKAGE = Path(__file__).resolve().parent
FRAMEWORKS = (
    "torch",
    "tensorflow",
    "keras",
    "jax",
    "optuna",
    "tensorboard",
    "wandb",
    "libtpu",
    "sacrebleu",
    "surprise",
)  # what labkit.session knows
HARDWARE = ("cpu", "gpu", "tpu")
NEEDS = ("two cores", "two accelerators", "a TPU")  # without which a lab plays what it is about: see labkit.readiness


@dataclass(frozen=True)
class Part:
    """A part of the course: a folder of labs."""

    id: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Item:
    """What a lab and an assignment have in common: a source in ``folder``, and the notebook built from it beside it."""

    id: str
    title: str
    minutes: int
    folder: Path
    frameworks: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    @property
    def source(self) -> Path:
        """The MyST Markdown."""
        return self.folder / f"{self.id}.md"

    @property
    def notebook(self) -> Path:
        """The generated notebook."""
        return self.folder / f"{self.id}.ipynb"


@dataclass(frozen=True, kw_only=True)
class Lab(Item):
    """One lab. ``claims`` maps the name of each claim to the sentence it stands for.

    ``also`` names frameworks whose part is skipped where they are missing, ``simulates_without`` what the lab plays on other
    hardware where it is missing. ``stand_in_for`` names real data ("data set/split") that may not be bundled: where none of it can
    be had, the lab simulates its like, and ``claims_on_real`` are not made.
    """

    part: str
    hardware: tuple[str, ...]
    also: tuple[str, ...] = ()
    simulates_without: str = ""
    stand_in_for: tuple[str, ...] = ()
    full_mode: str = ""
    claims: dict[str, str] = field(default_factory=dict)
    claims_on_real: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Assignment(Item):
    """One graded assignment. ``folder`` is its place in nbgrader's ``source/``."""

    @property
    def release(self) -> Path:
        """The students' version, which nbgrader makes from the source."""
        return self.folder.parents[1] / "release" / self.id / f"{self.id}.ipynb"


@dataclass(frozen=True)
class Course:
    """The whole manifest. ``root`` is the checkout's top folder, or the copy inside the installed package."""

    root: Path
    title: str
    repository: str
    branch: str
    parts: dict[str, Part]
    labs: dict[str, Lab]
    assignments: dict[str, Assignment]

    def lab(self, lab_id: str) -> Lab:
        """The lab of this id; a LabkitError with the nearest ids where there is none."""
        if lab_id not in self.labs:
            raise unknown("lab", lab_id, self.labs)
        return self.labs[lab_id]

    def assignment(self, assignment_id: str) -> Assignment:
        """The assignment of this id; a LabkitError with the nearest ids where there is none."""
        if assignment_id not in self.assignments:
            raise unknown("assignment", assignment_id, self.assignments)
        return self.assignments[assignment_id]

    @property
    def is_checkout(self) -> bool:
        """False where labkit was installed without the repository, as on Colab."""
        return self.root != PACKAGE / "_course"

    def relative(self, path: Path) -> str:
        """A path as the repository names it, with forward slashes."""
        return path.relative_to(self.root).as_posix()


def course_root() -> Path:
    """The folder that holds ``notebooks/course.toml`` and ``datasets/``: the checkout, else the wheel's own copy.

    ``LABKIT_COURSE`` may name another one, for a course of one's own made with this package.
    """
    if os.environ.get("LABKIT_COURSE"):
        return Path(os.environ["LABKIT_COURSE"]).resolve()
    checkout = PACKAGE.parent
    return checkout if (checkout / "notebooks" / "course.toml").is_file() else PACKAGE / "_course"


def datasets_folder() -> Path:
    """Where the cards and the bundled data are."""
    return course_root() / "datasets"


def load_course(root: Path | None = None) -> Course:
    """Read and check the manifest below ``root`` (default: see :func:`course_root`).

    Raises LabkitError naming file, line and what was expected.
    """
    root = course_root() if root is None else Path(root).resolve()
    file = TomlFile(root / "notebooks" / "course.toml")
    file.only((), {"course", "part", "lab", "assignment"})
    file.only(("course",), {"title", "repository", "branch"}) if "course" in file.data else None
    repository = file.get(("course",), "repository", str)
    if not repository.startswith("https://github.com/") or repository.count("/") != 4:
        raise file.error(("course",), "repository", "https://github.com/OWNER/NAME", f"It is '{repository}'")

    parts: dict[str, Part] = {}
    for number, _ in enumerate(file.tables("part")):
        at = ("part", number)
        file.only(at, {"id", "title"})
        part = Part(_new_id(file, at, parts), file.get(at, "title", str))
        parts[part.id] = part

    labs: dict[str, Lab] = {}
    for number, _ in enumerate(file.tables("lab")):
        lab = _read_lab(file, ("lab", number), root, parts, labs)
        labs[lab.id] = lab

    assignments: dict[str, Assignment] = {}
    for number, _ in enumerate(file.tables("assignment")):
        at = ("assignment", number)
        file.only(at, {"id", "title", "minutes", "after", "frameworks", "datasets"})
        assignment_id = _new_id(file, at, assignments)
        assignments[assignment_id] = Assignment(
            id=assignment_id,
            title=file.get(at, "title", str),
            minutes=file.get(at, "minutes", int),
            folder=root / "assignments" / "source" / assignment_id,
            after=_members(file, at, "after", labs),
            frameworks=_members(file, at, "frameworks", FRAMEWORKS),
            datasets=file.texts(at, "datasets", []),
        )
    title = file.get(("course",), "title", str)
    return Course(root, title, repository, file.get(("course",), "branch", str), parts, labs, assignments)


def _read_lab(file: TomlFile, at: tuple[str, int], root: Path, parts: dict[str, Part], earlier: dict[str, Lab]) -> Lab:
    names = "id part title minutes hardware frameworks also simulates_without datasets stand_in_for after full_mode"
    file.only(at, {*names.split(), "claims", "claims_on_real"})
    lab_id = _new_id(file, at, earlier)
    part = file.get(at, "part", str)
    if part not in parts:
        raise file.error(at, "part", f"one of the parts {', '.join(parts)}", f"It is '{part}'")
    need = file.get(at, "simulates_without", str, "")
    if need and need not in NEEDS:
        raise file.error(at, "simulates_without", f"one of {', '.join(NEEDS)}", f"It is '{need}'")
    datasets = file.texts(at, "datasets", [])
    stand_in_for = file.texts(at, "stand_in_for", [])
    for name in stand_in_for:
        if name.partition("/")[0] not in datasets or not name.partition("/")[2]:
            raise file.error(at, "stand_in_for", "'NAME/SPLIT' of data sets that the lab lists", f"One is '{name}'")
    claims = _read_claims(file, at, "claims", lab_id)
    claims_on_real = _read_claims(file, at, "claims_on_real", lab_id)
    if claims_on_real and not stand_in_for:
        raise file.error(at, "claims_on_real", "'stand_in_for' beside it", "It names no real data")
    return Lab(
        id=lab_id,
        part=part,
        title=file.get(at, "title", str),
        minutes=file.get(at, "minutes", int),
        hardware=_members(file, at, "hardware", HARDWARE),
        folder=root / "notebooks" / part,
        frameworks=_members(file, at, "frameworks", FRAMEWORKS),
        also=_members(file, at, "also", FRAMEWORKS),
        simulates_without=need,
        datasets=datasets,
        stand_in_for=stand_in_for,
        after=_members(file, at, "after", earlier),
        full_mode=file.get(at, "full_mode", str, ""),
        claims=claims,
        claims_on_real=claims_on_real,
    )


def _read_claims(file: TomlFile, at: tuple[str, int], key: str, lab_id: str) -> dict[str, str]:
    claims = file.get(at, key, dict, {})
    for name, sentence in claims.items():
        if not isinstance(sentence, str) or not name.startswith(f"{lab_id}."):
            raise file.error((*at, key), name, f"a sentence for a claim named '{lab_id}.…'", f"It is '{name}'")
    return claims


def _new_id(file: TomlFile, at: tuple[str, int], taken: Iterable[str]) -> str:
    found = file.get(at, "id", str)
    if not found.replace("-", "").isalnum() or found != found.lower():
        raise file.error(at, "id", "an id of small letters, digits and hyphens", f"It is '{found}'")
    if found in taken:
        raise file.error(at, "id", f"each {at[0]} once", f"'{found}' is there already")
    return found


def _members(file: TomlFile, at: tuple[str, int], key: str, allowed: Iterable[str]) -> tuple[str, ...]:
    found = file.texts(at, key, [])
    for name in found:
        if name not in allowed:
            raise file.error(
                at, key, f"'{key}' to name only {', '.join(allowed) or 'what stands above'}", f"'{name}' is not one"
            )
    return found
