#!/usr/bin/python3
"""Tests of the Makefile. Ends with a line that sums all."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from host import testing


class Makefile(testing.OnAHost):
    def test_other_flags_make_other_objects_and_the_same_flags_make_none(self):
        build = self.scratch() + '/build'
        object_file = build + '/common/file.o'
        make = f'make -s BUILD={build} {object_file}'
        self.must(make)
        first = os.stat(object_file).st_mtime_ns
        self.must(make)
        self.assertEqual(os.stat(object_file).st_mtime_ns, first)
        self.must(make + ' CXXFLAGS=-O1')
        self.assertNotEqual(os.stat(object_file).st_mtime_ns, first)


if __name__ == '__main__':
    testing.main()
