#!/usr/bin/python3
"""Tests of the shells in which the commands of a text run. Ends with a line that sums all."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from texts import shells


class Shells(unittest.TestCase):
    def setUp(self):
        with tempfile.NamedTemporaryFile('w', delete=False) as file:
            file.write(shells.SETTINGS)
        self.addCleanup(os.unlink, file.name)
        self.shell = shells.Shell(shells.host_shell(file.name), shells.host_environment('/'))
        self.addCleanup(self.shell.close)

    def test_lines_are_returned_without_what_was_typed(self):
        self.assertEqual(self.shell.run(['echo one; echo two']), ['one', 'two'])
        self.assertEqual(self.shell.run(['true']), [])
        self.assertEqual(self.shell.run(['printf half']), ['half'])
        self.assertEqual(self.shell.run(['cat <<END', 'word', 'END']), ['word'])

    def test_a_prompt_that_is_drawn_twice_is_one(self):
        self.assertEqual(self.shell.run(
            ["printf 'out\\nbox# \\rbox# '; read line"]), ['out'])
        self.assertTrue(self.shell.inside)

    def test_a_compiler_keeps_no_cache(self):
        self.assertEqual(self.shell.run(['echo $CCACHE_DISABLE']), ['1'])

    def test_a_letter_of_several_bytes_comes_whole(self):
        self.assertEqual(self.shell.run(["yes € | head -n 50000 | tr -d '\\n'"]), ['€' * 50000])

    def test_a_shell_knows_whether_it_is_in_a_container(self):
        self.shell.run(["env PS1='box# ' sh -i"])
        self.assertTrue(self.shell.inside)
        self.assertEqual(self.shell.run(['echo in']), ['in'])
        self.shell.run(['exit'])
        self.assertFalse(self.shell.inside)

    def test_a_command_that_does_not_end_is_an_error(self):
        with self.assertRaises(shells.Failure):
            self.shell.type('sleep 60\n')
            self.shell.wait(seconds=0.3)
        self.shell.type('\x03')

    def test_a_command_that_prints_without_end_is_an_error(self):
        with self.assertRaises(shells.Failure):
            self.shell.run(['yes'])
        self.shell.type('\x03')

    def test_a_shell_that_ends_is_an_error(self):
        with self.assertRaises(shells.Failure):
            self.shell.run(['exit'])


class Echo(unittest.TestCase):
    def test_what_is_printed_stands_behind_what_was_typed(self):
        for text, typed in (('ls -l\na\nb\n', 'ls -l'), ('ls \n-l\na\nb\n', 'ls -l'),
                            ('\na\nb\n', ''), ('l\na\nb\n', 'lz')):
            self.assertEqual(shells.behind_echo(text, typed), 'a\nb\n', typed)

    def test_what_is_not_shown_is_not_looked_for_in_what_is_printed(self):
        said = "rmdir: failed to remove '/sys/mine': busy\n"
        self.assertEqual(shells.behind_echo('\n' + said, 'rmdir /sys/mine'), said)


if __name__ == '__main__':
    summed.main()
