"""The command line. Every verb is a thin cover over a function that can be imported.

Exit status: 0 when what was asked for was done and verified, 1 when it was not, 2 when the command itself is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from labkit import __version__
from labkit.errors import LabkitError

_UNSEALED = """
!!! UNSEALED: every student's code now runs with YOUR rights, on your files, your gradebook and your network.
!!! A submission can read the hidden tests, change any grade, and send or delete what you can.
!!! The grades are marked as unsealed. Stop now with Ctrl-C, unless this machine holds nothing else.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.verb(options) or 0)
    except LabkitError as error:
        print(f"labkit: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nlabkit: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `labkit data list | head`
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="labkit", description="The course on AI computing, from the command line.")
    parser.add_argument("--version", action="version", version=f"labkit {__version__}")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    verb = verbs.add_parser("doctor", help="what this machine can run")
    verb.add_argument("--measure", action="store_true", help="measure its peak speed and its memory's bandwidth too")
    verb.add_argument("--labs", action="store_true", help="say of each lab how it will run here, and why")
    verb.set_defaults(verb=_doctor)

    verb = verbs.add_parser("lab", help="open the course in JupyterLab")
    verb.add_argument("--port", type=int, default=8888, help="the next free one is taken where it is in use")
    verb.add_argument("--no-browser", action="store_true", help="print the address and open nothing")
    verb.set_defaults(verb=_lab)

    verb = verbs.add_parser("run", help="run labs without a browser and measure their claims")
    verb.add_argument("labs", nargs="+", metavar="LAB", help="ids of labs, or 'all'")
    verb.add_argument("--mode", choices=["quick", "full"], help="default: $LABKIT_MODE, else quick")
    verb.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    verb.add_argument("--save", type=Path, metavar="FOLDER", help="keep the executed notebooks, with their figures")
    verb.set_defaults(verb=_run)

    verb = verbs.add_parser("build", help="make the notebooks from their sources")
    verb.add_argument("names", nargs="*", metavar="ID", help="labs or assignments (default: all)")
    verb.add_argument(
        "--check", action="store_true", help="write nothing; fail where a notebook is not what it should be"
    )
    verb.add_argument("--force", action="store_true", help="also replace notebooks that were edited by hand")
    verb.add_argument("--pull", metavar="ID", help="bring a notebook edited in JupyterLab back into its source first")
    verb.add_argument("--format", action="store_true", help="format the code in the sources first, with ruff")
    verb.set_defaults(verb=_build)

    data = verbs.add_parser("data", help="the data sets").add_subparsers(required=True, metavar="list|fetch|verify")
    verb = data.add_parser("list", help="what there is, and what is here already")
    verb.set_defaults(verb=_data_list)
    verb = data.add_parser("fetch", help="download a data set into the cache")
    verb.add_argument("names", nargs="+", metavar="NAME")
    verb.set_defaults(verb=_data_fetch)
    verb = data.add_parser("verify", help="check what is here against the hashes of its card")
    verb.add_argument("names", nargs="*", metavar="NAME")
    verb.set_defaults(verb=_data_verify)

    verb = verbs.add_parser("release", help="make the students' version of an assignment")
    verb.add_argument("assignment", metavar="PS")
    verb.set_defaults(verb=_release)

    verb = verbs.add_parser("submit", help="hand in an assignment")
    verb.add_argument("assignment", metavar="PS")
    verb.add_argument("--notebook", type=Path, metavar="FILE", help="default: the released notebook")
    verb.add_argument("--student", metavar="ID", help="default: your user name")
    verb.set_defaults(verb=_submit)

    verb = verbs.add_parser("grade", help="grade what was handed in, with feedback and a CSV of the grades")
    verb.add_argument("assignment", metavar="PS")
    verb.add_argument("--students", nargs="+", metavar="ID", help="only what these handed in")
    verb.add_argument(
        "--workers", type=int, metavar="N", help="submissions at once; default: as many as there are cores"
    )
    verb.add_argument("--scheduler", metavar="ADDRESS", help="run on the Dask cluster whose scheduler is there")
    verb.add_argument("--unsealed", action="store_true", help="DANGER: run students' code without a wall, as you")
    verb.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    verb.set_defaults(verb=_grade)

    verb = verbs.add_parser("demo-class", help="invent a class and grade it")
    verb.add_argument("assignment", metavar="PS")
    verb.add_argument("--students", type=int, default=12)
    verb.add_argument("--folder", type=Path, help="default: a new temporary folder, which is kept")
    verb.set_defaults(verb=_demo_class)
    return parser


def _doctor(options: argparse.Namespace) -> int:
    from labkit import readiness
    from labkit.device import doctor_report

    print(doctor_report(measure=options.measure))
    if options.labs:
        print(f"\n{readiness.report()}")
    return 0


def _lab(options: argparse.Namespace) -> int:
    from labkit.jupyter import open_lab

    return open_lab(options.port, browser=not options.no_browser)


def _run(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from labkit.course import load_course
    from labkit.mode import mode
    from labkit.run import report, run_lab

    course, chosen = load_course(), options.mode or mode()
    labs = list(course.labs.values()) if options.labs == ["all"] else [course.lab(name) for name in options.labs]
    results = []
    for lab in labs:
        with tqdm(desc=lab.id, unit="cell", leave=False) as bar:

            def advance(done: int, total: int, bar: tqdm = bar) -> None:
                bar.total = total
                bar.update(done - bar.n)

            result = run_lab(lab, chosen, advance, options.save)
        results.append(result)
        held = sum(item["ok"] for item in result.claims)
        print(
            f"{'✓' if result.ok else '✗'} {lab.id}: {held} of {len(result.claims)} claims held, "
            f"{result.seconds:.1f} s in {chosen} mode"
        )
        for item in result.claims:
            if not item["ok"]:
                print(f"    {item['name']} = {item['value']}, claimed {item['band']}")
        for name in result.missing:
            print(f"    {name} is promised in the manifest and was not measured")
        if result.error:
            print(f"    {result.error}")
    if options.json:
        options.json.write_text(json.dumps(report(results), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0 if all(result.ok for result in results) else 1


def _build(options: argparse.Namespace) -> int:
    from labkit import build
    from labkit.course import load_course

    course = load_course()
    if not course.is_checkout:
        raise LabkitError(
            "There is nothing to build here", "labkit is installed without the repository", "Use a checkout"
        )
    for name in options.names:
        if name not in course.labs:
            course.assignment(name)  # says what there is, where there is none of this name
    looked_at = f"every notebook of {', '.join(options.names)}" if options.names else "every notebook"
    if options.pull:
        item = course.labs.get(options.pull) or course.assignment(options.pull)
        print(f"updated {course.relative(build.pull(course, item))}")
    if options.format:
        for path in build.format_sources(course, options.names):
            print(f"formatted {course.relative(path)}")
    if options.check:
        problems = build.check(course, options.names)
        for problem in problems:
            print(problem)
        if problems:
            raise LabkitError(
                f"{len(problems)} generated file(s) are not what they should be", todo="Run `labkit build`"
            )
        print(f"{looked_at} is what its source says")
        return 0
    written = build.build(course, only=options.names, force=options.force or bool(options.pull))
    for path in written:
        print(f"wrote {course.relative(path)}")
    if not written:
        print(f"{looked_at} is what its source says")
    return 0


def _data_list(options: argparse.Namespace) -> int:
    from labkit.data import list_report

    print(list_report())
    return 0


def _data_fetch(options: argparse.Namespace) -> int:
    from labkit.data import fetch, verify

    for name in options.names:
        fetch(name, progress=True)
        print(verify(name))
    return 0


def _data_verify(options: argparse.Namespace) -> int:
    from labkit.data import cards, verify

    for name in options.names or cards():
        print(verify(name))
    return 0


def _release(options: argparse.Namespace) -> int:
    from labkit.course import load_course
    from labkit.grading import release

    print(f"released {release(load_course(), options.assignment)}")
    return 0


def _submit(options: argparse.Namespace) -> int:
    from getpass import getuser

    from labkit.course import load_course
    from labkit.grading import submit

    course = load_course()
    notebook = options.notebook or course.assignment(options.assignment).release
    student = options.student or getuser()
    print(f"handed in as {student}: {submit(course, options.assignment, student, notebook)}")
    return 0


def _grade(options: argparse.Namespace) -> int:
    from labkit.course import load_course
    from labkit.grading import export_csv, export_results, feedback, grade
    from labkit.grading.exports import write_whole

    course = load_course()
    if options.unsealed:
        print(_UNSEALED, file=sys.stderr)
    report = grade(
        course,
        options.assignment,
        students=options.students,
        workers=options.workers,
        scheduler=options.scheduler,
        sealed=not options.unsealed,
    )
    print(report.summary())
    if options.json:
        write_whole(options.json, report.to_json())
    folder = course.root / "assignments"
    if options.students is None:
        files = export_results(course, options.assignment, report)
    else:  # Canvas, Moodle and the comparison of answers want the whole class
        files = [export_csv(course, options.assignment, folder / f"{options.assignment}.csv")]
    for file in files:
        print(f"written: {file}")
    graded = [name for name, student in report.students.items() if not student.error]
    pages = feedback(course, options.assignment, students=graded) if graded else []
    print(f"feedback: {len(pages)} page(s) in {folder / 'feedback'}")
    return 0 if not any(student.error for student in report.students.values()) else 1


def _demo_class(options: argparse.Namespace) -> int:
    from labkit.grading import demo_class

    demo_class(options.assignment, students=options.students, root=options.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
