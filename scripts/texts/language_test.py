#!/usr/bin/python3
"""Tests of habits that made the texts hard to read: see CONTRIBUTING. Ends with a line that sums all."""

import glob
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from texts import sources, transcript

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


def unsaid(text):
    """The blocks for one kind of host whose paragraph above does not name this kind, each with its
    line and its condition. A browser does not show the words after ```console."""
    lines, missing = text.split('\n'), []
    commands = [command for command in transcript.parse(text).commands if command.condition]
    for block, condition in sorted({(command.block, command.condition) for command in commands}):
        at = block - 2
        while at >= 0 and not lines[at].strip():
            at -= 1
        above = []
        while at >= 0 and lines[at].strip() and not lines[at].lstrip().startswith(('```', '#', '<!--')):
            above.append(lines[at])
            at -= 1
        words = re.findall(r'[\w.]*\w', ' '.join(reversed(above)))
        if not set(condition.split()) - {'cgroup', 'and'} <= set(words):
            missing.append((block, condition))
    return missing


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


class Conditions(unittest.TestCase):
    def test_the_sentence_above_each_block_for_one_kind_of_host_names_it(self):
        for path in Language.PATHS[1:]:  # README.md has no such blocks.
            self.assertEqual(unsaid(sources.read(path)), [], path)

    def unsaid(self, *lines):
        return unsaid('\n'.join(lines))

    def test_the_sentence_above_a_block_says_for_which_host_it_is(self):
        block = ['```console if cgroup v2', 'host# true', '```']
        self.assertEqual(self.unsaid('On v2:', '', *block), [])
        self.assertEqual(self.unsaid('A long sentence: with v2', 'it goes on.', *block), [])
        self.assertEqual(self.unsaid('It counts.', '', *block), [(3, 'cgroup v2')])

    def test_a_sentence_further_up_does_not_count(self):
        block = ['```console if cgroup v2', 'host# true', '```']
        for above in (['# On v2'], ['On v2:', '', 'It counts.'], ['On v2:', '', *block], [],
                      ['<!-- On v2 -->'], ['On v22:']):
            self.assertEqual(len(self.unsaid(*above, *block)), 1, above)

    def test_the_sentence_names_every_tool_that_the_block_needs(self):
        block = ['   ```console if skopeo and umoci', '   host# true', '   ```']
        self.assertEqual(self.unsaid('   With skopeo(1) and umoci(1):', *block), [])
        self.assertEqual(len(self.unsaid('   With skopeo(1):', *block)), 1)


if __name__ == '__main__':
    summed.main()
