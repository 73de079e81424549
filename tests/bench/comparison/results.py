"""Figures by tool, row and door; medians of several runs."""
import statistics


class Results:
    def __init__(self):
        self._figures = {}  # (tool, row, how) -> {name: value}

    def add(self, tool, row, how, figures):
        self._figures[tool, row, how] = figures

    def get(self, tool, row, how, name):
        """None if it was not measured."""
        return self._figures.get((tool, row, how), {}).get(name)

    def of_row(self, row):
        """(tool, how, figures) in the order in which they were measured."""
        return [(tool, how, figures) for tool, of, how, figures in self.all() if of == row]

    def all(self):
        return [(*key, figures) for key, figures in self._figures.items()]

    def as_json(self):
        return [{"tool": tool, "row": row, "how": how, **figures} for tool, row, how, figures in self.all()]


def medians(runs):
    """Figure by figure, of runs that measured the same."""
    merged = Results()
    for tool, row, how, figures in runs[0].all():
        merged.add(tool, row, how, {name: statistics.median(run.get(tool, row, how, name) for run in runs) for name in figures})
    return merged
