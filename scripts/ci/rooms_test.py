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

ROW = re.compile(r'^\| `([a-z/]+/|Makefile)` \|.*\| (\d+) \|$', re.M)
CODE = ('.cpp', '.hpp', '.py', '.sh', '.js', '.css')
KEPT_ELSEWHERE = {'node_modules', '__pycache__'}


def is_code(path):
    """Programs have no suffix."""
    name = os.path.basename(path)
    is_test = '_test.' in name or name in ('test.cpp', 'testing.hpp', 'testing.py') or '/tests/' in path
    return not is_test and (name.endswith(CODE) or '.' not in name)


def files(room, rooms):
    """The code of a room, without the rooms below that are counted by themselves; or the file."""
    if os.path.isfile(room):
        yield room
    for place, below, names in os.walk(room):
        below[:] = [name for name in below if name not in KEPT_ELSEWHERE and
                    os.path.join(place, name, '') not in rooms]
        yield from (os.path.join(place, name) for name in names)


def lines(path):
    with open(path, encoding='utf-8') as file:
        return file.read().splitlines()


def includes():
    """For each room of the library, the rooms of which it includes something."""
    found = {}
    for path in filter(is_code, files('common/', {})):
        room = os.path.dirname(path)
        found.setdefault(room, set()).update(
            {os.path.dirname(other) for other in re.findall(
                r'^#include "(.*)"', '\n'.join(lines(path)), re.M)} - {room})
    return found


def circle(below):
    """The rooms that include each other, directly or by way of others."""
    while free := {room for room, others in below.items() if not others & below.keys()}:
        below = {room: others for room, others in below.items() if room not in free}
    return sorted(below)


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
    def test_no_room_has_more_lines_than_its_limit(self):
        limits = {room: int(most) for room, most in
                  ROW.findall(sources.read('.github/CONTRIBUTING.md'))}
        self.assertGreaterEqual(set(limits), {'Makefile', 'common/', 'steps/', 'rootfs/', 'scripts/'} |
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

    def test_no_two_rooms_of_the_library_include_each_other(self):
        self.assertEqual(circle(includes()), [])
        self.assertEqual(circle({'a': {'b', 'c'}, 'b': {'a'}, 'c': set()}), ['a', 'b'])

    def test_each_public_name_of_the_library_has_a_docstring(self):
        headers = [path for path in glob.glob('common/**/*.hpp', recursive=True) if is_code(path)]
        self.assertTrue(headers)
        for path in headers:
            self.assertEqual(list(names_without_a_word(path)), [])

    def test_a_name_without_a_docstring_is_found(self):
        with tempfile.NamedTemporaryFile('w', encoding='utf-8') as file:
            file.write('/// It has.\nint one();\n\nint two();\n')
            file.flush()
            self.assertEqual(list(names_without_a_word(file.name)), [f'{file.name}: int two();'])


if __name__ == '__main__':
    summed.main()
