#!/usr/bin/python3
"""Tests of what texts, comments and messages name: each target, program and file is there. Ends
with a line that sums all."""

import functools
import itertools
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from host import testing

TOPS = ['Makefile', 'README.md', '.ci', '.devcontainer', '.github', '.lima.yaml', 'common',
        'rootfs', 'scripts', 'slides', 'steps']
NO_TEXTS = {'package-lock.json', 'words.txt'}
# What goes on behind `make` and behind `scripts/setup` where it is a sentence.
AFTER_MAKE = set('''a an and another any containers device does groups it its menuconfig namespaces
    no none one or room that the them this us'''.split())
AFTER_SETUP = set('brings gives has installs there and is says'.split())
# What stands in front of a command, and of no sentence about making; or else it is alone on an
# indented line, of a comment perhaps.
COMMAND = re.compile(r'''(?:[`"']|[$#:] |&& |(?:^|[#/]) {3,})make ([a-z][\w-]*)''')


@functools.cache
def lines():
    """Of all texts of the project, each with its place; but of what was made or fetched, and of
    the tests, which also name what there must not be."""
    found = []
    for path in files():
        for number, line in enumerate(testing.contents(path).splitlines(), 1):
            found.append((f'{path}:{number}', line))
    return found


def files():
    for top in TOPS:
        if os.path.isfile(top):
            yield top
        for path, directories, names in os.walk(top):
            directories[:] = [name for name in directories
                              if name not in ('node_modules', '__pycache__')]
            yield from (f'{path}/{name}' for name in names if name not in NO_TEXTS and
                        not name.endswith('.svg') and not re.search(r'_test\.|^test\.cpp$', name))


def printed(command):
    return testing.shell(command).out


@functools.cache
def targets():
    """What `make` can be told to do, "check-03" too."""
    return set(re.findall(r'^([a-z0-9][a-z0-9-]*):', printed('make -pn help 2>/dev/null'), re.M))


def is_target(word):
    """A number may be left open: check-NN, check-{step}, check-%, "check-" + step."""
    word = word.removesuffix('NN') if word.endswith('-NN') else word
    return (word + '03' if word.endswith('-') else word) in targets()


class Names(unittest.TestCase):
    def test_each_make_target_that_a_text_comment_or_message_names_is_there(self):
        named = [(place, word) for place, line in lines() for word in COMMAND.findall(line)
                 if word not in AFTER_MAKE]
        self.assertGreater(len(named), 100)
        self.assertEqual([one for one in named if not is_target(one[1])], [])

    def test_setup_knows_each_word_that_a_text_gives_to_it(self):
        known = re.search(r'^#   WHAT +(.*)$', testing.contents('scripts/setup'), re.M)[1]
        known = set(re.findall(r'\w+', known)) - {'or'} | set(
            '--list --dry-run apt dnf pacman apk zypper'.split())
        self.assertGreater(len(known), 12)
        named = []
        for place, line in lines():
            for words in re.findall(r'scripts/setup ((?:[\w-]+ ?)*)', line):
                named += [(place, word) for word in itertools.takewhile(
                    lambda word: word not in AFTER_SETUP and not word[0].isdigit(), words.split())]
        self.assertGreater(len(named), 20)
        self.assertEqual([one for one in named if one[1] not in known], [])

    def test_each_program_and_file_that_is_named_is_there(self):
        # A path of its own, and no part of another, nor of a pattern.
        path = re.compile(r'(?<![\w/}.-])((?:scripts/|rootfs/from-|common/|steps/)[\w/.-]*)'
                          r'(?![*{%$<\[+\\])(?![\w/.-])')
        named = [(place, word.rstrip('./')) for place, line in lines()
                 for word in path.findall(line)]
        named = [one for one in named if not re.search('NN|/X', one[1])]
        for room in ('scripts/', 'rootfs/from-', 'common/', 'steps/'):
            self.assertTrue([one for one in named if one[1].startswith(room)], room)
        # A suite of tests has the name of its file without the end.
        self.assertEqual([one for one in named if not any(
            os.path.exists(one[1] + end) for end in ('', '.cpp', '.hpp'))], [])


class Targets(unittest.TestCase):
    def test_a_target_that_runs_a_python_program_sets_up_first_of_all(self):
        """On a fresh machine there is no Python yet, and no compiler."""
        programs = set(printed("grep -rlI '^#!.*python3' scripts").split())
        self.assertIn('scripts/learn/learn', programs)
        count = 0
        for target in sorted(targets()):
            # One of eight is enough; and reset runs even under -n.
            if set(target) & set('012456789') or target == 'reset':
                continue
            if not programs & set(printed(f'make -n {target} 2>/dev/null').split()):
                continue
            count += 1
            with self.subTest(target):
                first = printed(
                    f'make -nB --no-print-directory {target} 2>/dev/null').partition('\n')[0]
                self.assertTrue(first.startswith('scripts/setup '), first)
                self.assertNotEqual(first, 'scripts/setup run')
        self.assertGreater(count, 12)

    def test_for_an_unknown_number_make_names_the_steps(self):
        for target in ('3', '9', '09', '10', '00', 'check', 'check-', 'check-9', 'start-3', 'hint',
                       'catch-up', 'solution-x', 'demo-9'):
            with self.subTest(target):
                result = testing.shell(f'make {target}')
                self.assertEqual(result.status, 2)
                self.assertIn(': the steps are 01 to 08\n', result.err)
        self.assertIn(': the steps are 02 to 08\n', testing.shell('make diff-01').err)


if __name__ == '__main__':
    testing.main()
