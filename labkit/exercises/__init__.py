"""The checks of each lab's exercises, one module a lab: ``labkit/exercises/LAB.py`` with hyphens as underscores."""
