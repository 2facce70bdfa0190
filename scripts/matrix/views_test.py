#!/usr/bin/python3
"""Tests of what is made of steps/matrix.json. Ends with a line that sums all."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from host import testing
from matrix import views
from matrix.attacked import HITS, OWN
from matrix.attacks import ROWS, STEPS


class Views(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.verdicts = views.verdicts_in('steps')
        self.rows = views.rows_of(self.verdicts)

    def test_each_file_is_what_is_made_of_the_data_today(self):
        files = views.made(self.verdicts, 'steps')
        self.assertEqual(set(files), {'matrix.json', 'matrix.md', 'matrix.svg'} |
                         {f'{step}/README.md' for step in STEPS})
        for name, text in files.items():
            with self.subTest(name):
                self.assertEqual(testing.contents('steps/' + name), text,
                                 'scripts/matrix/matrix --words steps writes it again')

    def test_each_cell_is_in_every_view_of_it(self):
        for attack in ROWS:
            for step in (one[:2] for one in STEPS):
                with self.subTest(f'{attack} in {step}'):
                    now = self.verdicts['root', step, attack]
                    other = OWN if now == HITS else HITS
                    changed = views.made(self.verdicts | {('root', step, attack): other}, 'steps')
                    for name in ('matrix.json', 'matrix.md', 'matrix.svg',
                                 next(one for one in STEPS if one[:2] == step) + '/README.md'):
                        self.assertNotEqual(testing.contents('steps/' + name), changed[name], name)

    def test_a_lesson_without_a_place_for_its_rows_is_told(self):
        text = testing.contents('steps/05-mountns/README.md')
        for name in views.BLOCKS:
            for line in (f'<!-- {name} -->', f'<!-- end of {name} -->'):
                with self.subTest(line):
                    self.assertIn(line, text)
                    with self.assertRaisesRegex(SystemExit, f'^matrix: .* <!-- {name} -->'):
                        views.with_blocks(text.replace(line, ''), self.rows, '05')


if __name__ == '__main__':
    testing.main()
