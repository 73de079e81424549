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
        return [(tool, how, figures) for (tool, of, how), figures in self._figures.items() if of == row]

    def as_json(self):
        return [{"tool": tool, "row": row, "how": how, **figures} for (tool, row, how), figures in self._figures.items()]


def medians(runs):
    """Figure by figure, of runs that measured the same."""
    merged = Results()
    for tool, row, how in runs[0]._figures:
        of_runs = [run._figures[tool, row, how] for run in runs]
        merged.add(tool, row, how, {name: statistics.median(figures[name] for figures in of_runs) for name in of_runs[0]})
    return merged
