#!/usr/bin/python3
"""Tests of the tables of what ran where. Ends with a line that sums all."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import results, summed


class Runs(unittest.TestCase):
    ROWS = [results.Row('host', '6.18', 'v1 + v2', 'root', 800, 0, 30),
            results.Row('lab', '6.1', 'v2', 'rootless', 300, 0, 100)]

    def test_the_counts_are_the_last_ones(self):
        self.assertEqual(results.counts('1 passed, 0 failed, 0 skipped\n'
                                        '2 passed, 1 failed, 3 skipped\nran: a:1\n'), (2, 1, 3))
        self.assertIsNone(results.counts('a kernel that hangs'))

    def test_a_kernel_and_its_cgroups_have_short_names(self):
        self.assertEqual(results.version('6.12.95+deb12-amd64'), '6.12')
        both = 'a /a cgroup rw 0 0\nb /b cgroup2 rw 0 0'
        self.assertEqual(results.cgroup(both), 'v1 + v2')
        self.assertEqual(results.cgroup('b /b cgroup2 rw 0 0'), 'v2')
        self.assertEqual(results.cgroup(''), 'none')

    def test_a_table_is_read_as_it_is_written(self):
        text = '\n'.join(['Before.'] + results.table(self.ROWS) + ['', 'After.'])
        self.assertEqual(results.rows(text), self.ROWS)
        self.assertEqual(results.with_table(text, self.ROWS), text)
        self.assertEqual(results.rows(results.with_table(text, self.ROWS[1:])), self.ROWS[1:])
        with self.assertRaises(ValueError):
            results.rows('Before.')

    def test_two_runs_of_one_kernel_and_user_are_one_row(self):
        texts = results.Row('lab', '6.1', 'v2', 'root', 90, 1, 5)
        tests = results.Row('lab', '6.1', 'v2', 'root', 500, 0, 20)
        self.assertEqual(results.merged([texts, self.ROWS[1], tests]),
                         [results.Row('lab', '6.1', 'v2', 'root', 590, 1, 25), self.ROWS[1]])


if __name__ == '__main__':
    summed.main()
