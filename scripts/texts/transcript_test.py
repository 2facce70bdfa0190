#!/usr/bin/python3
"""Tests of how a text is read and compared with what comes out. Ends with a line that sums all."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from texts import transcript


class Parsing(unittest.TestCase):
    TEXT = '\n'.join([
        '# A step', '<!-- vary: 4101', '4102 -->', 'It counts.', '', '```console',
        'host# build/02-pidns', '...', 'box# echo $$', '1', 'host$ cat <<END', '> word',
        '> END', 'word', '```', 'Elsewhere.', '```console if cgroup v2', 'host# true',
        '```', '```cpp', '# no command', '```'])

    def setUp(self):
        self.parsed = transcript.parse(self.TEXT)

    def test_what_is_typed_where_and_by_whom(self):
        self.assertEqual(
            [(c.place, c.sign, c.typed) for c in self.parsed.commands],
            [('host', '#', ['build/02-pidns']), ('box', '#', ['echo $$']),
             ('host', '$', ['cat <<END', 'word', 'END']), ('host', '#', ['true'])])

    def test_what_must_appear(self):
        self.assertEqual([c.expected for c in self.parsed.commands],
                         [['...'], ['1'], ['word'], []])

    def test_lines_of_the_file(self):
        self.assertEqual([(c.line, c.first_output) for c in self.parsed.commands],
                         [(7, 8), (9, 10), (11, 14), (18, 19)])

    def test_the_sentence_above_and_the_kind_of_host(self):
        self.assertEqual([(c.before, c.condition) for c in self.parsed.commands][2:],
                         [('It counts.', ''), ('Elsewhere.', 'cgroup v2')])

    def test_words_that_vary(self):
        self.assertEqual(self.parsed.vary, {'4101', '4102'})

    def test_a_word_that_varies_nowhere_is_named(self):
        self.assertEqual(transcript.unused(self.parsed), ['4101', '4102'])
        used = transcript.parse(self.TEXT.replace('echo $$', 'kill 4101'))
        self.assertEqual(transcript.unused(used), ['4102'])

    def test_a_block_in_a_list_is_read_without_its_indent(self):
        block = ['1. Why?', '   ```console', '   host# cat <<END', '   > word', '   > END',
                 '   word', '     more', '   ```', '2. And?']
        command, = transcript.parse('\n'.join(block)).commands
        self.assertEqual((command.typed, command.expected, command.indent),
                         (['cat <<END', 'word', 'END'], ['word', '  more'], '   '))

    def test_a_line_that_stands_left_of_its_block_is_refused(self):
        with self.assertRaises(ValueError):
            transcript.parse('1. Why?\n   ```console\n   host# true\nword\n   ```')

    def test_a_block_without_a_prompt_or_an_end_is_refused(self):
        for text in ('```console\nword\n```', '```console\nhost# true\n', '```console\n```',
                     '```console\nbox$ true\n```', '```text\nword\n'):
            with self.assertRaises(ValueError, msg=text):
                transcript.parse(text)

    def test_a_block_that_would_never_run_is_refused(self):
        for fence in ('```console ', '```consol', '```bash', '~~~console', '````console',
                      '\t```console', '```cpp', '    '):
            with self.assertRaises(ValueError, msg=fence):
                transcript.parse(f'{fence}\nhost# true\n```')

    def test_only_what_has_a_digit_varies(self):
        with self.assertRaises(ValueError):
            transcript.parse('<!-- vary: crate -->\n```console\nhost# true crate\n```')


class Comparing(unittest.TestCase):
    def compare(self, vary, *pairs):
        """What is wrong with the last of several outputs."""
        same = transcript.Comparison(set(vary.split()))
        for text, real in pairs:
            why = same.lines(text.split('\n') if text else [],
                             real.split('\n') if real else [])
        return why

    def test_equal_lines_are_equal_whatever_the_blanks(self):
        self.assertEqual(self.compare('', ('a  b\nc', 'a b\nc')), '')

    def test_other_lines_are_not(self):
        self.assertIn('differs', self.compare('', ('a', 'b')))

    def test_a_number_is_not_free_unless_it_is_said_to_vary(self):
        self.assertIn('differs', self.compare('', ('1', '2')))
        self.assertEqual(self.compare('1', ('1', '2')), '')

    def test_two_shown_equal_that_differ_fail(self):
        self.assertIn('was 7', self.compare('4101', ('4101', '7'), ('4101', '8')))

    def test_two_shown_different_that_are_equal_fail(self):
        self.assertIn('both', self.compare('4101 4102', ('4101', '7'), ('4102', '7')))

    def test_a_word_that_varies_keeps_its_kind(self):
        self.assertIn('differs', self.compare('4101', ('4101', 'none')))
        self.assertIn('differs', self.compare('10.0.0.1', ('10.0.0.1', 'fe80')))
        self.assertEqual(self.compare('10.0.0.1', ('via 10.0.0.1', 'via 10.9.0.5')), '')
        self.assertEqual(self.compare('box42', ('box42@if2', 'box7@if2')), '')

    def test_only_whole_words_vary(self):
        self.assertIn('differs', self.compare('41', ('4101', '5101')))
        self.assertEqual(self.compare('10.0.0.1', ('10.0.0.1.', '10.9.0.5.')), '')

    def test_dots_stand_for_any_lines_also_none(self):
        for real in ('z', 'a\nz', 'a\nb\nz'):
            self.assertEqual(self.compare('', ('...\nz', real)), '')
        self.assertEqual(self.compare('', ('a\n...', 'a')), '')
        self.assertEqual(self.compare('', ('...\nm\n...\nz', 'a\nm\nb\nc\nz')), '')

    def test_dots_do_not_stand_for_what_follows(self):
        self.assertNotEqual(self.compare('', ('...\nz', 'a\nb')), '')
        self.assertNotEqual(self.compare('', ('...\nm\n...', 'a\nb')), '')

    def test_dots_hide_no_error(self):
        error = '03-userns: cannot write the maps: Operation not permitted (EPERM)'
        for text in ('...', '...\nz', '...\nz\n...'):
            self.assertIn('hides an error: 03', self.compare('', (text, f'a\n{error}\nz')), text)
        for error in ('RTNETLINK answers: File exists', "mount: /mnt: can't find in /etc/fstab.",
                      "tail: unrecognized option '--nosuch'", 'Killed', 'NameError: x'):
            self.assertIn('hides an error', self.compare('', ('...', error)), error)
        for other in ('[1]+  Killed     sleep 4711', '64 bytes from 10.0.0.1', ''):
            self.assertEqual(self.compare('', ('...', other)), '')

    def test_missing_and_additional_lines_fail(self):
        self.assertIn('missing', self.compare('', ('a\nb', 'a')))
        self.assertIn('not in the text', self.compare('', ('a', 'a\nb')))
        self.assertIn('not in the text', self.compare('', ('', 'a')))

    def test_a_typed_command_has_the_numbers_of_this_run(self):
        same = transcript.Comparison({'4101'})
        self.assertEqual(same.typed_today('kill 4101'), 'kill 4101')
        same.lines(['4101'], ['7'])
        self.assertEqual(same.typed_today('kill 4101 41010'), 'kill 7 41010')


if __name__ == '__main__':
    summed.main()
