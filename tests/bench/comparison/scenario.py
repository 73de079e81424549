"""Steps on one repository or store, one after the other."""
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from .measuring import Measured, settle


@dataclass(frozen=True)
class Step:
    row: str                   # one of rows.ROWS
    how: str                   # through which door; empty where a tool has one only
    take: Callable             # does it, and returns a Measured or a dictionary of figures
    lays: bool = False         # later steps of the scenario stand on what this one leaves behind


@dataclass(frozen=True)
class Scenario:
    place: Callable[[], AbstractContextManager]  # makes the repository or store, and takes it away
    steps: list[Step]
    sources: tuple[str, ...] = ()                # of the data; made if need be, and read before the first step

    def run(self, tool, data, choice, results):
        """Takes the steps whose rows were chosen, and those that they stand on."""
        wanted = [step.row in choice for step in self.steps]
        if not any(wanted):
            return
        last = max(index for index, want in enumerate(wanted) if want)
        for source in self.sources:
            data.warm(source)
        with self.place():
            for index, step in enumerate(self.steps[:last + 1]):
                if not wanted[index] and not step.lays:
                    continue
                settle()
                print(f"... {tool}: {step.row}{', ' + step.how if step.how else ''}", file=sys.stderr, flush=True)
                figures = step.take()
                if isinstance(figures, Measured):
                    figures = figures.figures()
                if wanted[index]:
                    results.add(tool, step.row, step.how, figures)
