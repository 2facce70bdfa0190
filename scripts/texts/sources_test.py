#!/usr/bin/python3
"""Tests of what a text takes from the sources. Ends with a line that sums all."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from texts import sources


class Cutting(unittest.TestCase):
    SOURCE = '\n'.join([
        '// Why.', '// More.', 'void one(int a) {', '  if (a) {', '  }', '}', '',
        'int main() {', '  first();', '  second();', '}', ''])

    def test_a_function_with_its_comment(self):
        self.assertEqual(sources.cut(self.SOURCE, 'void one'),
                         '// Why.\n// More.\nvoid one(int a) {\n  if (a) {\n  }\n}\n')

    def test_from_a_line_to_a_line_without_their_indent(self):
        self.assertEqual(sources.cut(self.SOURCE, 'first() ... second()'),
                         'first();\nsecond();\n')

    def test_code_that_its_source_no_longer_has_is_an_error(self):
        for what in ('void two', 'first() ... third()', 'second() ... first()'):
            with self.assertRaises(sources.Missing):
                sources.cut(self.SOURCE, what)
        with self.assertRaises(sources.Missing):
            sources.cut('void one() {\n  first();', 'void one')

    def test_code_without_the_place_that_it_was_cut_from_is_refused(self):
        for line in ('<!--code main.cpp: main -->', ' <!-- code main.cpp: main -->', 'Look:'):
            self.assertNotEqual(sources.uncut_code(f'{line}\n```cpp\nint main();\n```\n'), '', line)
        for line in ('<!-- code main.cpp: main -->\n```cpp', '1. Like this:\n   ```cpp'):
            self.assertEqual(sources.uncut_code(f'{line}\nint main();\n```\n'), '', line)


if __name__ == '__main__':
    summed.main()
