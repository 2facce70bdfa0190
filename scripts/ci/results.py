"""The sum of tests, and the table of their runs."""

import dataclasses
import re

HEAD = ['| where | kernel | cgroup | who | passed | failed | skipped |',
        '|---|---|---|---|---|---|---|']
COUNTS = re.compile(r'(\d+) passed, (\d+) failed, (\d+) skipped')


@dataclasses.dataclass
class Row:
    """One run of the tests."""
    where: str   # 'lab' or 'host'.
    kernel: str  # Its version, as in 6.1: what is behind that changes every month.
    cgroup: str  # 'v2', 'v1', or 'v1 + v2' where both are mounted.
    who: str     # 'root' or 'rootless'.
    passed: int
    failed: int
    skipped: int

    def name(self):
        return f'{self.where}, {self.kernel}, {self.cgroup}, {self.who}'

    def __str__(self):
        return '| ' + ' | '.join(map(str, dataclasses.astuple(self))) + ' |'


class Sum:
    """The sum of checks that are no unittests. Prints each fault at once."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, where, why):
        if why:
            self.failed += 1
            print(f'{where}: {why}', flush=True)  # A minute is long to wait for it.
        else:
            self.passed += 1

    def add_run(self, status, text):
        """Adds what a run has counted. A run without a last line has failed."""
        passed, failed, skipped = counts(text) or (0, 1, 0)
        self.passed += passed
        self.failed += max(failed, int(status != 0))
        self.skipped += skipped

    def __str__(self):
        return f'{self.passed} passed, {self.failed} failed, {self.skipped} skipped'


def counts(text):
    """The numbers in the last line that has such; None without one."""
    found = COUNTS.findall(text)
    return tuple(map(int, found[-1])) if found else None


def version(release):
    """6.1 of 6.1.0-56-amd64."""
    return '.'.join(release.split('.')[:2])


def cgroup(mounts):
    """What /proc/mounts says of cgroups."""
    types = {line.split()[2] for line in mounts.splitlines()}
    return ' + '.join(name for kind, name in (('cgroup', 'v1'), ('cgroup2', 'v2'))
                      if kind in types) or 'none'


def merged(runs):
    """Those of one place and one user in one row, by kernel."""
    rows = {}
    for row in runs:
        known = rows.get(row.name())
        rows[row.name()] = row if not known else dataclasses.replace(
            row, passed=known.passed + row.passed, failed=known.failed + row.failed,
            skipped=known.skipped + row.skipped)
    return sorted(rows.values(), key=lambda row: (row.kernel, row.who))


def place(lines):
    """Where the table is in a text: its first line, and the one behind its last."""
    if HEAD[0] not in lines:
        raise ValueError('no table of what was run where')
    start = lines.index(HEAD[0])
    end = next((n for n in range(start, len(lines)) if not lines[n].startswith('|')), len(lines))
    return start, end


def table(rows):
    return HEAD + [str(row) for row in rows]


def rows(text):
    """The rows of the table in a text."""
    lines = text.split('\n')
    start, end = place(lines)
    words = [[word.strip() for word in line.strip('|').split('|')]
             for line in lines[start + len(HEAD):end]]
    return [Row(*row[:4], *map(int, row[4:])) for row in words]


def with_table(text, new):
    """A text with other rows in its table."""
    lines = text.split('\n')
    start, end = place(lines)
    return '\n'.join(lines[:start] + table(new) + lines[end:])
