#!/usr/bin/python3
"""Tests of the Makefile. Ends with a line that sums all."""

import glob
import os
import re
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

    def test_the_checker_has_all_programs_that_its_tests_start(self):
        tests = ''.join(testing.contents(path) for path in
                        [*glob.glob('steps/*/test.cpp'), 'steps/tests/contract_test.cpp'])
        started = set(re.findall(r'(?:build_directory\(\) / |host::as\([^,]*, )"([\w-]+)', tests))
        self.assertIn('probe-08-all', started)
        build = self.scratch() + '/build'
        made = testing.shell(f'make -n BUILD={build} checker').out
        self.assertEqual({name for name in started if f' -o {build}/{name} ' not in made}, set())


if __name__ == '__main__':
    testing.main()
