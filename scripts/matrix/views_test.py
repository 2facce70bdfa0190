#!/usr/bin/python3
"""Tests of what is made of steps/matrix.json. Ends with a line that sums all."""

import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from host import testing
from matrix import views
from matrix.attacked import HITS, OWN
from matrix.attacks import ATTACKS, STEPS


def open_in(step):
    """The table of what is still open in a step."""
    text = testing.contents(f'steps/{step}/README.md')
    return text.partition('<!-- open -->')[2].partition('<!-- end of open -->')[0]


class Views(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.verdicts = views.verdicts_in('steps')
        self.rows = views.rows_of(self.verdicts)

    def test_each_file_is_up_to_date_with_the_data(self):
        files = views.made(self.verdicts, 'steps')
        self.assertEqual(set(files), {'matrix.json', 'matrix.md'} |
                         {f'{step}/README.md' for step in STEPS})
        for name, text in files.items():
            with self.subTest(name):
                self.assertEqual(testing.contents('steps/' + name), text,
                                 'scripts/matrix/matrix --words steps writes it again')

    def test_each_attack_has_words(self):
        for row in self.rows:
            self.assertNotEqual(row['label'], row['attack'])
            self.assertGreater(len(row['why'].split()), 10, row['attack'])

    def test_each_cell_is_in_every_view_of_it(self):
        for attack in ATTACKS:
            for step in (one[:2] for one in STEPS):
                with self.subTest(f'{attack} in {step}'):
                    now = self.verdicts['root', step, attack]
                    other = OWN if now == HITS else HITS
                    changed = views.made(self.verdicts | {('root', step, attack): other}, 'steps')
                    for name in ('matrix.json', 'matrix.md',
                                 next(one for one in STEPS if one[:2] == step) + '/README.md'):
                        self.assertNotEqual(testing.contents('steps/' + name), changed[name], name)

    def test_the_table_of_walls_says_which_stops_what_alone_and_behind_the_others(self):
        found = views.walls_in('steps')
        table = testing.contents('steps/08-all/README.md').partition(
            '<!-- walls -->')[2].partition('<!-- end of walls -->')[0]
        closed = {attack for attack in ATTACKS if self.verdicts['user', '07', attack] !=
                  self.verdicts['user', '08', attack]}
        self.assertLess(closed, set(found))
        for attack, row in found.items():
            with self.subTest(attack):
                self.assertEqual(row['all'], self.verdicts['user', '08', attack])
                stops = {wall for wall, verdict in row['alone'].items() if verdict != row['none']}
                self.assertEqual({  # The table does not show it: no other wall, no second one.
                    wall for wall, verdict in row['without'].items()
                    if verdict == row['none'] != row['all']}, stops if len(stops) == 1 else set())
                lines = [line for line in table.splitlines() if f'(`{attack}`)' in line]
                self.assertEqual(len(lines), bool(stops))
                for line in lines:
                    _, _, none, alone, _ = line.split('|')
                    self.assertEqual(none.strip(), views.in_words(row['none']))
                    self.assertEqual(set(re.findall('`(.*?)`', alone)), stops)

    def test_a_lesson_says_what_hits_the_host_in_its_step_and_nothing_else(self):
        for step in STEPS:
            with self.subTest(step):
                table = open_in(step)
                self.assertEqual(sorted(re.findall(r'\(`(\w+)`\)', table)), sorted({
                    attack for (_, number, attack), verdict in self.verdicts.items()
                    if number == step[:2] and verdict == HITS}))

    def test_a_lesson_says_which_step_stops_what_is_open_and_for_whom(self):
        for step, line in (
                ('01-chroot', 'leaves by a second chroot (`chroot2`) | '
                              '[05](../05-mountns/README.md)'),
                ('01-chroot', "signals the caller's process group (`group`) | "
                              '[03](../03-userns/README.md)'),
                ('03-userns', "signals the caller's process group (`group`), only if an ordinary "
                              'user starts the container | [08](../08-all/README.md)'),
                ('06-netns-veth', 'eats 256 MiB of memory (`memory`) | '
                                  '[07](../07-cgroup-memory/README.md), if root starts the '
                                  'container'),
                ('07-cgroup-memory', 'eats 256 MiB of memory (`memory`), only if an ordinary '
                                     'user starts the container | none')):
            with self.subTest(step):
                self.assertIn(f'| {line} |\n', open_in(step))

    def test_a_lesson_without_a_place_for_its_rows_is_an_error(self):
        text = testing.contents('steps/05-mountns/README.md')
        for name in views.BLOCKS:
            for line in (f'<!-- {name} -->', f'<!-- end of {name} -->'):
                with self.subTest(line):
                    self.assertIn(line, text)
                    with self.assertRaisesRegex(SystemExit, f'^matrix: .* <!-- {name} -->'):
                        views.with_blocks(text.replace(line, ''), self.rows, '05')


if __name__ == '__main__':
    testing.main()
