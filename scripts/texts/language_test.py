#!/usr/bin/python3
"""Tests of habits that made the texts hard to read: see CONTRIBUTING. Ends with a line that sums all."""

import glob
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from texts import sources

NO_PROSE = [(r'^ *```.*?^ *```$', '\n'), (r'<!--.*?-->', ''), (r'^ *(\||#|!\[|    \S).*$', ''),
            (r'^> ?', ''), (r'\]\([^)]*\)', ']'), (r'`[^`]*`', 'X'), (r'<[^>]+>', '\n\n'),
            (r'^ *([-*]|\d+\.) ', '\n\n')]
HABITS = {
    ', for ... instead of because': r'[,:;] for (?!example|instance|this reason|that reason|all )',
    'in here, out there': r'\b(in|out) (here|there)\b(?! (is|are|was|were)\b)',
    'who without a noun': r'(^|[:;(] ?)(Who|Whoever|Whatever)\b(?![^?]*\?)',
    'nobody as a pronoun': r'\b(somebody|everybody|anybody)\b',
}


def sentences(text):
    """The sentences of a Markdown text, without code, tables and headings."""
    for pattern, new in NO_PROSE:
        text = re.sub(pattern, new, text, flags=re.M | re.S if '```' in pattern or '<!' in pattern
                      else re.M)
    for paragraph in re.split(r'\n\s*\n', text):
        for sentence in re.split(r'(?<=[.!?]) |(?<=[.!?][)"]) (?=[A-Z("])',
                                 ' '.join(paragraph.split())):
            if re.search('[a-z]', sentence):
                yield sentence


def words(sentence):
    """How many words a sentence has."""
    return len(re.findall(r"[\w'’/-]+", sentence))


class Language(unittest.TestCase):
    PATHS = ['README.md', *sorted(glob.glob('steps/*.md') + glob.glob('steps/0*/README.md'))]

    def test_sentences_are_found(self):
        text = ('# A heading\n\nOne `a: b` is code. Two (2.) is\nnext: here. /proc is three.\n\n'
                '- an item; another\n\n> **Box** four. 5 is five.\n\n```cpp\nWho: no;\n```\n')
        self.assertEqual([*sentences(text)], [
            'One X is code.', 'Two (2.) is next: here.', '/proc is three.', 'an item; another',
            '**Box** four.', '5 is five.'])

    def test_a_text_has_no_such_habit(self):
        self.assertGreater(len(self.PATHS), 14)
        reasons = number = 0
        for path in self.PATHS:
            with self.subTest(path):
                found = [*sentences(sources.read(path))]
                length = sum(map(words, found))
                self.assertEqual([one for one in found if words(one) > 35], [])
                for habit, pattern in HABITS.items():
                    self.assertEqual([one for one in found if re.search(pattern, one)], [], habit)
                colons = [one for one in found if re.search(r'\w\)?[*X]*: \S', one)]
                self.assertLessEqual(1000 * len(colons) / length, 5, '\n'.join(colons))
                reasons += sum(len(re.findall(r'\b(?:because|so that)\b', one)) for one in found)
                number += length
        self.assertGreater(1000 * reasons / number, 2)

    def test_a_story_is_short(self):
        """Up to "By hand", without answers, which are folded. 08 has about as many walls as the
        other steps have layers."""
        for path in glob.glob('steps/0*/README.md'):
            story = sources.read(path).partition('\n## By hand')[0]
            story = re.sub(r'<details>.*?</details>', '', story, flags=re.S)
            self.assertLessEqual(sum(map(words, sentences(story))),
                                 2000 if '/08-' in path else 1700, path)


if __name__ == '__main__':
    os.chdir(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    summed.main()
