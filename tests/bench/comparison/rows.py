"""The rows of the table: what is measured, in whose words, and which rows were chosen."""

ROWS = {  # a row's key: its title
    "large/first": "large: first full",
    "large/second": "large: second full, changed",
    "large/stored": "large: stored after the second",
    "large/restore": "large: restore",
    "small/first": "small: first full",
    "small/unchanged": "small: unchanged",
    "small/restore": "small: restore",
    "small/stored": "small: stored",
}


class Choice:
    """Rows chosen by their keys or by what stands before a slash: `large,small/first`."""

    def __init__(self, text):
        self._parts = [part for part in text.split(",") if part] or ["all"]
        for part in self._parts:
            if part != "all" and not any(self._fits(part, row) for row in ROWS):
                raise ValueError(f"no row '{part}'; there are {', '.join(ROWS)}")

    @staticmethod
    def _fits(part, row):
        return row == part or row.startswith(part + "/")

    def __contains__(self, row):
        return any(part == "all" or self._fits(part, row) for part in self._parts)
