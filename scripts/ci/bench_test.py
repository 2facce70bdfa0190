#!/usr/bin/python3
"""Tests of the bench, which makes a host itself. No number is of interest here, only that there
are some. Ends with a line that sums all.

  needs   root, else all are skipped; make build rootfs
"""

import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from texts import sources


def hidden():
    """What is in /sys/fs/cgroup itself, below what is mounted there."""
    return subprocess.run(
        ['unshare', '--mount', 'sh', '-c',
         'umount -l /sys/fs/cgroup/*; find /sys/fs/cgroup -xdev'],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout.split('\n')


@unittest.skipUnless(os.geteuid() == 0, 'it needs root')
class Bench(unittest.TestCase):
    def test_the_bench_measures_and_leaves_no_cgroup(self):
        with tempfile.TemporaryDirectory() as out:
            with subprocess.Popen(['scripts/bench', '--quick', '--out', out],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) as bench:
                printed, errors = bench.communicate()
            self.assertEqual(bench.returncode, 0, errors)
            for part in ('| 08-all | ', '| fork + exec | ', '| 01-chroot | '):
                self.assertIn(part, printed)
            self.assertIn('| 08-all | ', sources.read(out + '/bench.md'))
        self.assertEqual([path for path in hidden() if path.endswith(f'/bench-{bench.pid}')], [])

    def test_a_program_that_fails_ends_the_bench(self):
        """Without its row, the table would look complete."""
        with tempfile.TemporaryDirectory() as place:
            with open(place + '/runc', 'w', encoding='utf-8') as file:
                file.write('#!/bin/sh\n'
                           '[ "$1" = run ] || exec echo \'{"process": {}, "linux": {}}\' >config.json\n'
                           'echo broken >&2\nexit 3\n')
            os.chmod(place + '/runc', 0o755)
            ended = subprocess.run(['scripts/bench', '--quick', '--out', place],
                                   env={**os.environ, 'PATH': place + ':' + os.environ['PATH']},
                                   stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                   check=False)
            self.assertNotEqual(ended.returncode, 0)
            self.assertRegex(ended.stderr, 'bench: runc run .*: status 3: broken')
            self.assertFalse(os.path.exists(place + '/bench.md'))


if __name__ == '__main__':
    summed.main()
