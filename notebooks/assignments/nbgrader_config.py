"""nbgrader's settings for the problem sets. Run its commands in this folder."""

c = get_config()  # noqa: F821, nbgrader defines it

c.CourseDirectory.course_id = "scorebook"

# What stands in a student's copy where the solution was. It compiles, and panics when a check calls it.
c.ClearSolutions.code_stub = {"rust": "// YOUR CODE HERE\ntodo!()"}
c.ClearSolutions.begin_solution_delimeter = "// BEGIN SOLUTION"
c.ClearSolutions.end_solution_delimeter = "// END SOLUTION"
c.ClearHiddenTests.begin_test_delimeter = "// BEGIN HIDDEN TESTS"
c.ClearHiddenTests.end_test_delimeter = "// END HIDDEN TESTS"

# For zip_collect: files are named STUDENT_SET.ipynb, as `ada_1-sampling.ipynb`.
c.FileNameCollectorPlugin.named_regexp = r"(?:.*/)?(?P<student_id>[^/_]+)_(?P<file_id>[0-9a-z-]+)"


def limit(cell):
    """Seconds that a cell may take, compilation included; then it is interrupted and has failed, and those after it are
    graded all the same. The first cell may have to wait for the kernel."""
    return 600 if cell.metadata.get("nbgrader", {}).get("grade_id") == "set-up" else 60


c.ExecutePreprocessor.timeout_func = limit
c.ExecutePreprocessor.startup_timeout = 600
# What an interrupted cell may take to stop: if need be its process is ended and started anew.
c.ExecutePreprocessor.iopub_timeout = 300
