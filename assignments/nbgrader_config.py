"""What nbgrader reads when it is run in this folder. Everything here follows from notebooks/course.toml."""

from pathlib import Path

from labkit.grading.config import configure

configure(get_config(), Path(__file__).resolve().parent)  # noqa: F821  (nbgrader provides get_config)
