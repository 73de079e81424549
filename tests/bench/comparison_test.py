#!/usr/bin/env python3
"""Goal: the benchmark judges by what it measured: rows that were chosen, each program's own memory, medians, and bars only where all of their figures are there."""
import contextlib
import io
import pathlib
import sys
import tarfile
import tempfile
import unittest

from comparison import bars
from comparison.file_tree import archive_of_files, file_name
from comparison.in_place import written_before
from comparison.measuring import measure, run
from comparison.results import Results, medians
from comparison.rows import ROWS, Choice
from comparison.scenario import Scenario, Step


def results_of(*figures):
    results = Results()
    for tool, row, how, of_row in figures:
        results.add(tool, row, how, of_row)
    return results


class NoData:
    def warm(self, kind):
        raise AssertionError(f"{kind} is read although nothing was chosen that needs it")


class ComparisonTest(unittest.TestCase):
    def test_rows_are_chosen_by_key_or_by_what_stands_before_the_slash(self):
        choice = Choice("large,small/first")
        self.assertEqual([row for row in ROWS if row in choice], [row for row in ROWS if row.startswith("large/") or row == "small/first"])
        self.assertTrue(all(row in Choice("all") for row in ROWS))
        for wrong in ("larg", "small/", "large/firs"):
            with self.assertRaises(ValueError):
                Choice(wrong)

    def take(self, rows):
        """The rows of a scenario of four steps that were taken, and those that were kept."""
        taken, results = [], Results()
        steps = [Step(row, "", lambda row=row: taken.append(row) or {"bytes": 1}, lays)
                 for row, lays in (("large/first", True), ("large/stored-first", False), ("large/second", True), ("large/stored", False))]
        with contextlib.redirect_stderr(io.StringIO()):
            Scenario(contextlib.nullcontext, steps).run("tool", NoData(), Choice(rows), results)
        return taken, [row for _, row, _, _ in results.all()]

    def test_a_step_is_taken_if_it_was_chosen_or_a_later_one_stands_on_it(self):
        self.assertEqual(self.take("large/stored"), (["large/first", "large/second", "large/stored"], ["large/stored"]))
        self.assertEqual(self.take("large/stored-first"), (["large/first", "large/stored-first"], ["large/stored-first"]))
        self.assertEqual(self.take("small"), ([], []))

    def test_sources_of_rows_that_were_not_chosen_are_not_made(self):
        Scenario(contextlib.nullcontext, [Step("large/first", "", dict)], sources=("large",)).run("tool", NoData(), Choice("small"), Results())

    def test_memory_is_each_program_s_own(self):
        with measure() as large:
            run(sys.executable, "-c", "b'x' * 100_000_000")
        with measure() as small:
            run("true")
        self.assertGreater(large.memory["peak_bytes"], 100_000_000)
        self.assertLess(small.memory["peak_bytes"], 100_000_000)

    def test_a_program_that_fails_ends_the_run_with_what_it_said(self):
        with self.assertRaisesRegex(SystemExit, "too bad"):
            run("sh", "-c", "echo too bad >&2; exit 3")

    def test_several_runs_count_by_their_medians(self):
        runs = [results_of(("restic", "large/first", "", {"wall_s": wall, "cpu_s": 9 - wall})) for wall in (7, 1, 3)]
        merged = medians(runs)
        self.assertEqual((merged.get("restic", "large/first", "", "wall_s"), merged.get("restic", "large/first", "", "cpu_s")), (3, 6))

    def test_a_restore_over_a_file_that_brings_too_little_ends_the_run(self):
        with tempfile.TemporaryDirectory() as scratch:
            place, source = pathlib.Path(scratch) / "place", pathlib.Path(scratch) / "source"
            place.mkdir(), source.mkdir()
            (source / "file").write_bytes(b"x" * 1000)
            with written_before(place, source) as output:
                run("cat", source / "file", stdout=output)
            with self.assertRaisesRegex(SystemExit, "999 bytes were restored where 1000"):
                with written_before(place, source) as output:
                    run("head", "-c", "999", source / "file", stdout=output)

    def test_the_tree_of_small_files_is_an_archive_of_that_many(self):
        output = io.BytesIO()
        archive_of_files(output, 10_300)
        output.seek(0)
        with tarfile.open(fileobj=output) as archive:
            members = archive.getmembers()
            contents = {archive.extractfile(member).read() for member in members if member.isfile()}
        self.assertEqual([member.name for member in members if member.isfile()], [file_name(number) for number in range(10_300)])
        self.assertEqual(len(contents), 10_300)
        self.assertEqual(sum(member.isdir() for member in members), 103 + 2)


class BarsTest(unittest.TestCase):
    def value(self, what, results):
        return next(bar for bar in bars.BARS if bar.what == what).value(results)

    def test_a_ratio_is_of_the_best_of_the_others_all_of_which_are_there(self):
        what = "first full, random bytes, cp: the better of restic, borg"
        ours, restic, borg = [(tool, "random/first", how, {"wall_s": wall}) for tool, how, wall in (("varve", "cp", 2), ("restic", "", 10), ("borg", "", 8))]
        self.assertEqual(self.value(what, results_of(ours, restic, borg)), 0.25)
        self.assertIsNone(self.value(what, results_of(ours, restic)))
        self.assertIsNone(self.value(what, results_of(restic, borg)))

    def test_growth_is_what_the_second_full_added(self):
        figures = [(tool, row, how, {"bytes": size}) for tool, how, sizes in (("varve", "cp", (100, 112)), ("restic", "", (100, 300)), ("borg", "", (100, 250)))
                   for row, size in zip(("large/stored-first", "large/stored"), sizes)]
        self.assertAlmostEqual(self.value("stored growth, cp: the better of restic, borg", results_of(*figures)), 12 / 150)

    def test_memory_is_the_most_of_all_rows(self):
        figures = [("varve", row, "", {"peak_bytes": size << 20}) for row, size in (("small/first", 100), ("snapshot/many", 513))]
        bar = next(bar for bar in bars.BARS if bar.what == "memory: the most that was resident, in all rows")
        self.assertEqual(bar.value(results_of(*figures)), 513)
        self.assertFalse(bar.met(513))
        self.assertTrue(bar.met(512))

    def test_reads_a_second_have_to_be_many(self):
        figures = [(tool, "large/image", "", {"cold_per_s": rate}) for tool, rate in (("varve", 4000), ("restic", 200))]
        bar = next(bar for bar in bars.BARS if bar.what == "random reads a second, cold: restic mount")
        self.assertEqual(bar.value(results_of(*figures)), 20)
        self.assertTrue(bar.met(20))
        self.assertFalse(bar.met(19))

    def test_each_bar_names_rows_that_are_measured(self):
        asked = set()

        class Asked(Results):
            def get(self, tool, row, how, name):
                asked.add(row)
                return 1.0
        for bar in bars.BARS:
            bar.value(Asked())
        self.assertLessEqual(asked, set(ROWS))
        self.assertEqual({bar.number for bar in bars.BARS}, set(range(1, 13)))


unittest.main()
