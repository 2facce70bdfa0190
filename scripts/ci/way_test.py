#!/usr/bin/python3
"""Tests of the last hints: they can be followed to the letter. scripts/ci/mistakes tests where that
leads. Ends with a line that sums all."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from ci.way import follow, learned
from learn.files import STEPS
from learn.task import pieces


class Hints(unittest.TestCase):
    def test_each_last_hint_can_be_followed_to_the_letter(self):
        for step in STEPS:
            with self.subTest(step):
                programs = learned(step)
                self.assertEqual(len(set(programs)), 1 + len(pieces(step)))

    def test_what_nobody_can_follow_is_found(self):
        for hint in ('Write a line.', 'Above the line with `x`, write:\n```cpp\ny\n```',
                     'In the line with `a`, write `b` in the place of `c`.'):
            with self.assertRaises(ValueError):
                follow(hint, 'a\nb\n')

    def test_a_hint_is_followed_in_order(self):
        hint = '''Above the line with `b`, write:

```cpp
c
```

Remove the lines from `a` to `c`. In the line with `b`, write `d` in the place of `b`.'''
        self.assertEqual(follow(hint, 'a\nb\n'), 'd\n')


if __name__ == '__main__':
    summed.main()
