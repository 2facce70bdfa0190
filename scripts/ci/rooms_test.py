#!/usr/bin/python3
"""Tests of the rooms: how big each is, what it includes, what it documents. Ends with a line
that sums all."""

import glob
import os
import re
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from texts import sources

ROW = re.compile(r'^\| `([a-z/]+/)` \|.*\| (\d+) \|$', re.M)
CODE = ('.cpp', '.hpp', '.py', '.sh', '.js', '.css')
KEPT_ELSEWHERE = {'node_modules', '__pycache__'}


def is_code(path):
    """Programs have no suffix."""
    name = os.path.basename(path)
    is_test = '_test.' in name or name in ('test.cpp', 'testing.hpp', 'testing.py') or '/tests/' in path
    return not is_test and (name.endswith(CODE) or '.' not in name)


def files(room, rooms):
    """The code of a room, without the rooms below that are counted by themselves."""
    for place, below, names in os.walk(room):
        below[:] = [name for name in below if name not in KEPT_ELSEWHERE and
                    os.path.join(place, name, '') not in rooms]
        yield from (os.path.join(place, name) for name in names)


def lines(path):
    with open(path, encoding='utf-8') as file:
        return file.read().splitlines()


def names_without_a_word(path):
    """The declarations of a header that no /// stands above."""
    above = ''
    for line in lines(path):
        is_declaration = re.match(r'(?!namespace|requires|public:)[a-z\[]', line, re.I) and \
            not re.match(r'(class|struct) \w+;$', line)
        if is_declaration and not above.startswith(('///', 'template', 'requires')):
            yield f'{path}: {line}'
        above = line


class Rooms(unittest.TestCase):
    def test_each_has_at_most_the_lines_that_it_may_have(self):
        limits = {room: int(most) for room, most in
                  ROW.findall(sources.read('.github/CONTRIBUTING.md'))}
        self.assertGreaterEqual(set(limits), {'common/', 'steps/', 'rootfs/', 'scripts/'} |
                                set(glob.glob('common/*/') + glob.glob('scripts/[a-z]*/')) -
                                {'scripts/__pycache__/'})
        for room, most in limits.items():
            number = sum(len(lines(path)) for path in files(room, limits) if is_code(path))
            self.assertLessEqual(number, most, room)
            self.assertGreater(number, most * 3 // 4, f'{room}: the limit is far away')

    def test_the_library_and_its_tests_include_nothing_from_outside(self):
        for path in files('common/', {}):
            for line in lines(path):
                self.assertNotRegex(line, r'^#include "(?!common/)', path)

    def test_each_public_name_of_the_library_has_its_words(self):
        headers = [path for path in glob.glob('common/**/*.hpp', recursive=True) if is_code(path)]
        self.assertTrue(headers)
        for path in headers:
            self.assertEqual(list(names_without_a_word(path)), [])

    def test_a_name_without_words_is_found(self):
        with tempfile.NamedTemporaryFile('w', encoding='utf-8') as file:
            file.write('/// It has.\nint one();\n\nint two();\n')
            file.flush()
            self.assertEqual(list(names_without_a_word(file.name)), [f'{file.name}: int two();'])


if __name__ == '__main__':
    os.chdir(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    summed.main()
