"""The problem sets: nbgrader's whole cycle on one of them, and the checks of all of them against right and wrong answers.

For every set the solutions must pass their checks, and the student's untouched copy and each of the mutants (a sign
flipped, a ½ dropped, an end moved: `assignment_mutants.py`) must fail them. All of that takes one kernel. On one set
nbgrader itself, unchanged, makes the student's copy, hands it out, collects, grades and writes feedback, for a perfect,
an empty, a half-done and a broken submission.

`assignments.py --class 30` instead grades thirty submissions of that set and prints how long it took.
"""

import argparse
import getpass
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import nbformat
from assignment_mutants import MUTANTS
from jupyter_client.manager import start_new_kernel
from nbgrader.api import Gradebook

COURSE = pathlib.Path(__file__).parents[2] / "notebooks" / "assignments"
SETS = sorted(path.name for path in (COURSE / "source").iterdir())
GRADED = "2-brownian-motion"
# nbgrader calls alembic by its name.
os.environ["PATH"] = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])

passed = failed = 0


def check(what, holds, why=""):
    """Counts one test, and says what failed."""
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {what}{': ' if why else ''}{why}", flush=True)


def say(begun, what):
    print(f"{what}: {time.time() - begun:.1f} s", flush=True)


def cells(notebook):
    """The code cells of a notebook by their grade_id."""
    return {c.metadata.nbgrader.grade_id: c for c in notebook.cells if c.cell_type == "code" and "nbgrader" in c.metadata}


def answers(notebook):
    """The answer cells by their problem."""
    return {name: cell for name, cell in cells(notebook).items() if cell.metadata.nbgrader.solution}


def read(path):
    return nbformat.read(path, as_version=4)


def source(name):
    return read(COURSE / "source" / name / f"{name}.ipynb")


# --- All sets, in one kernel.


class Kernel:
    """One kernel of the book, and what its cells say."""

    def __enter__(self):
        self.manager, self.client = start_new_kernel(startup_timeout=300, kernel_name="scorebook")
        return self

    def __exit__(self, *_):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def run(self, code):
        """Runs a cell: its error, if it has one, and the text that it printed."""
        text, stderr = [], []

        def hook(message):
            content = message["content"]
            if message["msg_type"] == "stream":
                (text if content["name"] == "stdout" else stderr).append(content["text"])

        reply = self.client.execute_interactive(code, output_hook=hook, allow_stdin=False, timeout=600)["content"]
        error = reply["evalue"] if reply["status"] == "error" else "".join(stderr)
        return error, "".join(text)


def variants(name, notebook, student):
    """What is tried against each check: (problem, what, answer, whether it must pass)."""
    for problem, cell in answers(notebook).items():
        yield problem, "the solution", cell.source, True
        yield problem, "the student's copy", answers(student)[problem].source, False
        for what, old, new in MUTANTS[name][problem]:
            assert cell.source.count(old) == 1, f"{name}, {problem}: {what}: not one place to change"
            yield problem, what, cell.source.replace(old, new), False


def all_at_once(notebook, tried):
    """One cell that runs the check of each variant in a function of its own, where its answer hides the solution."""
    functions = []
    for number, (problem, _, answer, _) in enumerate(tried):
        test = cells(notebook)[f"{problem}-check"].source
        functions.append(f"fn variant_{number}() {{\n{answer}\n{test}\n}}")
    listed = ", ".join(f"variant_{number}" for number in range(len(tried)))
    return (
        "{\n" + "\n".join(functions) + f"\nlet variants: [fn(); {len(tried)}] = [{listed}];\n" + """
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for (number, variant) in variants.iter().enumerate() {
        let why = match std::panic::catch_unwind(variant) {
            Ok(()) => "passed".to_string(),
            Err(why) => match (why.downcast_ref::<String>(), why.downcast_ref::<&str>()) {
                (Some(text), _) => text.clone(),
                (_, Some(text)) => text.to_string(),
                _ => "panicked".to_string(),
            },
        };
        println!("variant {number}: {}", why.replace('\\n', " "));
    }
    std::panic::set_hook(hook);
}"""
    )


def judge_sets(course, kernel):
    for name in SETS:
        begun = time.time()
        notebook, student = source(name), read(course / "release" / name / f"{name}.ipynb")
        # As a student runs it who has solved everything.
        for grade_id, cell in cells(notebook).items():
            error, _ = kernel.run(cell.source)
            check(f"{name}, {grade_id}, of the source runs", not error, error)
        # Shut in by functions, every answer against its check.
        tried = list(variants(name, notebook, student))
        error, text = kernel.run(all_at_once(notebook, tried))
        check(f"{name}: the variants compile", not error, error)
        said = dict(re.findall(r"^variant (\d+): (.*)$", text, re.M))
        for number, (problem, what, _, must_pass) in enumerate(tried):
            outcome = said.get(str(number), "did not run")
            wrong = (outcome != "passed") if must_pass else outcome in ("passed", "did not run")
            check(f"{name}, {problem}: {what}", not wrong, outcome)
        say(begun, f"{name}, {len(tried)} answers")


def check_shape(name, notebook, student):
    """What a set must be: four to six problems, twenty points, and no solution or hidden check in the student's copy."""
    graded = [c for c in cells(notebook).values() if c.metadata.nbgrader.grade]
    check(f"{name}: four to six problems", 4 <= len(graded) <= 6, len(graded))
    check(f"{name}: twenty points", sum(c.metadata.nbgrader.points for c in graded) == 20)
    text = nbformat.writes(student)
    check(f"{name}: nothing is given away", not re.search("SOLUTION|HIDDEN", text))
    stubs = [c.source.count("// YOUR CODE HERE\n") > 0 and "todo!()" in c.source for c in answers(student).values()]
    check(f"{name}: a stub in each answer", all(stubs) and len(stubs) == len(graded), stubs)
    for cell in graded:
        hidden = cell.source.split("// BEGIN HIDDEN TESTS")
        check(f"{name}: {cell.metadata.nbgrader.grade_id} has visible and hidden checks", len(hidden) == 2 and hidden[0].strip())


# --- nbgrader itself, on one set.


class Course:
    """A copy of the course's folder, with an exchange beside it."""

    def __init__(self, scratch):
        self.root, self.student = scratch / "course", scratch / "student"
        exchange = scratch / "exchange"
        for folder in (self.root, self.student, exchange):
            folder.mkdir()
        exchange.chmod(0o777)
        shutil.copy(COURSE / "nbgrader_config.py", self.root)
        shutil.copytree(COURSE / "source", self.root / "source")
        self.exchange = [f"--Exchange.root={exchange}", f"--Exchange.cache={scratch / 'cache'}"]

    def nbgrader(self, command, *arguments, at=None):
        begun = time.time()
        call = [sys.executable, "-m", "nbgrader", command, *arguments, *self.exchange]
        # A file, not a pipe: a kernel that is kept warm for the next command would hold a pipe open.
        with tempfile.TemporaryFile("w+") as said:
            done = subprocess.run(call, cwd=at or self.root, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=3600)
            said.seek(0)
            text = said.read()
        say(begun, f"nbgrader {command}")
        return done.returncode, text

    def succeeds(self, command, *arguments, at=None):
        code, text = self.nbgrader(command, *arguments, at=at)
        check(f"nbgrader {command}", code == 0, text[-3000:])

    def generate(self):
        for name in SETS:
            self.succeeds("generate_assignment", name)

    def release(self, name):
        return read(self.root / "release" / name / f"{name}.ipynb")

    def hand_in(self, student, notebook):
        """A file as students' systems name them, for zip_collect."""
        folder = self.root / "downloaded" / GRADED / "archive"
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, folder / f"{student}_{GRADED}.ipynb")

    def marks(self, student):
        """The score of each problem."""
        with Gradebook(f"sqlite:///{self.root / 'gradebook.db'}") as gradebook:
            grades = gradebook.find_submission_notebook(GRADED, GRADED, student).grades
            return {grade.name.removesuffix("-check"): grade.auto_score for grade in grades}


def answered(course, changes):
    """The student's copy with some answers filled in."""
    notebook = course.release(GRADED)
    for problem, answer in changes.items():
        answers(notebook)[problem].source = answer
    return notebook


def body(answer, code):
    """An answer with other code in its body."""
    return re.sub(r"// BEGIN SOLUTION.*?// END SOLUTION", lambda _: code, answer, flags=re.S)


def cycle(course):
    right = {problem: cell.source for problem, cell in answers(source(GRADED)).items()}
    points = {
        grade_id.removesuffix("-check"): cell.metadata.nbgrader.points
        for grade_id, cell in cells(source(GRADED)).items()
        if cell.metadata.nbgrader.grade
    }
    names = list(right)
    broken = right | {
        names[1]: body(right[names[1]], "let missing: f64 = \"text\";\n    missing"),
        names[2]: body(right[names[2]], "let mut endless = 0u64;\n    loop { endless = std::hint::black_box(endless.wrapping_add(1)); }"),
        names[3]: body(right[names[3]], "panic!(\"I do not know\")"),
    }
    done = {"perfect": names, "empty": [], "half": names[:3], "broken": [names[0], names[4], names[5]]}
    submissions = {"perfect": right, "empty": {}, "half": {p: right[p] for p in names[:3]}, "broken": broken}

    # The perfect one goes the way of the exchange, under this user's name; the others come as files.
    me = getpass.getuser()
    course.succeeds("release_assignment", GRADED)
    here = ["--course", "scorebook"]
    course.succeeds("fetch_assignment", GRADED, *here, at=course.student)
    nbformat.write(answered(course, submissions["perfect"]), course.student / GRADED / f"{GRADED}.ipynb")
    course.succeeds("submit", GRADED, *here, at=course.student)
    course.succeeds("collect", GRADED)
    for student in ("empty", "half", "broken"):
        course.hand_in(student, answered(course, submissions[student]))
    course.succeeds("zip_collect", GRADED)

    course.succeeds("autograde", GRADED)
    course.succeeds("generate_feedback", GRADED)
    for student, solved in done.items():
        who = me if student == "perfect" else student
        try:
            marks = course.marks(who)
        except Exception as error:  # nbgrader.api.MissingEntry, or no database at all
            check(f"{student} has been graded", False, error)
            continue
        for problem in names:
            expected = points[problem] if problem in solved else 0
            check(f"{student}, {problem}: {expected} points", marks[problem] == expected, marks[problem])
        page = course.root / "feedback" / who / GRADED / f"{GRADED}.html"
        total = sum(points[problem] for problem in solved)
        text = page.read_text() if page.is_file() else ""
        check(f"{student}: feedback with the mark", re.search(rf"Score: {total}(\.0)?\s*/\s*20", text), page)
    page = course.root / "feedback" / "broken" / GRADED / f"{GRADED}.html"
    text = page.read_text() if page.is_file() else ""
    check("the feedback says why", "I do not know" in text and "mismatched types" in text)


def grade_a_class(size):
    """Grades `size` submissions, of which each lacks other answers, and prints the times."""
    with tempfile.TemporaryDirectory() as scratch:
        course = Course(pathlib.Path(scratch))
        course.succeeds("generate_assignment", GRADED)
        right = {problem: cell.source for problem, cell in answers(source(GRADED)).items()}
        expected = {}
        for number in range(size):
            solved = [p for k, p in enumerate(right) if number >> k & 1 == 0]
            expected[f"student{number:02}"] = solved
            course.hand_in(f"student{number:02}", answered(course, {p: right[p] for p in solved}))
        course.succeeds("zip_collect", GRADED)
        begun = time.time()
        course.succeeds("autograde", GRADED)
        took = time.time() - begun
        for student, solved in expected.items():
            marks = course.marks(student)
            check(f"{student} gets what is due", {p for p, mark in marks.items() if mark > 0} == set(solved), marks)
        print(f"{size} submissions in {took:.0f} s, {took / size:.1f} s each")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--class", type=int, dest="size", help="grade so many submissions and print the time")
    size = parser.parse_args().size
    # While one submission runs, the next one's kernel is started.
    os.environ["SCOREBOOK_KEEPER"] = str(os.getpid())
    if size:
        grade_a_class(size)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            course = Course(pathlib.Path(scratch))
            course.generate()
            for name in SETS:
                check_shape(name, source(name), course.release(name))
            with Kernel() as kernel:
                judge_sets(course.root, kernel)
            cycle(course)
    print(f"tally: {passed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
