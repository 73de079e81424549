"""The rows of the table: what is measured, in whose words, and which rows were chosen."""

ROWS = {  # a row's key: its title
    "large/first": "large: first full",
    "large/stored-first": "large: stored after the first",
    "large/second": "large: second full, 2 % changed",
    "large/stored": "large: stored after the second",
    "large/read": "large: read to /dev/null",
    "large/in-place": "large: restore over a file that is there",
    "large/restore": "large: restore into fresh memory",
    "large/image": "large: random 4 KiB reads of the disk image",
    "random/first": "random bytes: first full",
    "small/first": "small: first full",
    "small/unchanged": "small: unchanged",
    "small/restore": "small: restore",
    "small/stored": "small: stored",
    "snapshot/few": "snapshot: 1,000 files, 100 changed",
    "snapshot/many": "snapshot: 1,000,000 files, 100 changed",
    "snapshot/clean": "snapshot: 1,000,000 files, none changed",
    "listing/snapshots": "listing of 10,000 snapshots",
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
