#!/usr/bin/python3
"""Tests of how a transcript is read in terminals. Ends with a line that sums all."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from texts import reading, shells, transcript


class Shell:
    """A container is entered by `in` and left by `exit`; what it prints are its number and the line."""
    number, ready = 0, True

    def __init__(self, sign):
        Shell.number += 1
        self.name, self.inside, self.closed = f'{sign}{Shell.number}', False, False

    def run(self, typed):
        self.inside = (self.inside or typed == ['in']) and typed != ['exit']
        return [f'{self.name} {line}' for line in typed]

    def close(self):
        self.closed = True


def script(text):
    return transcript.parse(f'<!-- vary: 4101 4102 -->\n```console\n{text}\n```\n')


class Terminals(unittest.TestCase):
    def setUp(self):
        Shell.number = 0
        self.terminals = reading.Terminals(Shell)

    def run_all(self, text):
        return [self.terminals.run(command, command.typed) for command in script(text).commands]

    def test_each_command_has_the_terminal_of_its_prompt(self):
        self.assertEqual(
            self.run_all('host# in\nbox# a\nhost# b\nhost# in\nbox# c\nhost$ d\nbox# exit\nbox# e'),
            [['#1 in'], ['#1 a'], ['#2 b'], ['#2 in'], ['#2 c'], ['$3 d'], ['#2 exit'], ['#1 e']])
        self.terminals.close()
        self.assertTrue(all(shell.closed for shell in self.terminals.shells['#']))

    def test_without_a_container_its_command_is_an_error(self):
        with self.assertRaises(shells.Failure):
            self.run_all('host# in\nbox# exit\nbox# a')


    def test_a_terminal_that_is_busy_is_left_alone(self):
        self.assertEqual(self.run_all('host# a'), [['#1 a']])
        self.terminals.shells['#'][0].ready = False
        self.assertEqual(self.run_all('host# in'), [['#2 in']])
        self.terminals.entered[0].ready = False
        with self.assertRaisesRegex(shells.Failure, 'busy'):
            self.run_all('box# b')

    def test_a_container_that_was_left_by_hand_is_no_container(self):
        self.run_all('host# in')
        shell = self.terminals.entered[0]
        shell.inside = False
        self.terminals.notice(shell)
        self.assertEqual(self.run_all('host# a'), [['#1 a']])


class Reading(unittest.TestCase):
    def read(self, text, *outputs):
        """What is typed for each line, and what is wrong with it, if this is what it prints."""
        made, outputs = [], iter(outputs)

        class Answers:
            def run(self, _, typed):
                made.append(typed)
                return next(outputs)
        today = reading.Reading(script(text), Answers())
        commands = script(text).commands
        return made, [today.run(command)[1] for command in commands + commands[:1]]

    def test_what_is_typed_has_the_numbers_of_today(self):
        made, wrong = self.read('host# pgrep a\n4101\nhost# kill 4101', ['7'], [], ['7'])
        self.assertEqual(made, [['pgrep a'], ['kill 7'], ['pgrep a']])
        self.assertEqual(wrong, ['', '', ''])

    def test_a_command_that_is_run_once_more_may_print_other_numbers(self):
        for again, told in ((['8'], False), (['9'], True)):
            wrong = self.read('host# pgrep a\n4101\nhost# pgrep b\n4102', ['7'], ['9'], again)[1]
            self.assertEqual([bool(why) for why in wrong], [False, False, told])

    def test_a_difference_is_named(self):
        self.assertIn('missing: 4101', self.read('host# pgrep a\n4101', [], [])[1][0])


class Needs(unittest.TestCase):
    def setUp(self):
        self.script = transcript.parse('''<!-- vary: 4101 4102 -->
```console
host# sleep 9 &
[1] 4101
host# build/02-pidns
box# pgrep a
4102
```
```console
box# kill 4101 4102
host# true
```
''')
        self.today = reading.Reading(self.script, reading.Terminals(Shell))

    def needs(self, number):
        return self.today.needs(self.script.commands[number])

    def test_a_command_that_needs_nothing(self):
        for number in (0, 1, 4):
            self.assertIsNone(self.needs(number))

    def test_a_container_has_to_be_open(self):
        self.assertEqual(self.needs(2), ('No container is open.', 3))

    def test_a_number_has_to_be_shown_by_the_block_that_shows_it(self):
        why, first = self.needs(3)
        self.assertIn('4101 is a number of another machine', why)
        self.assertEqual(first, 3)
        self.today.same.today = {'4101': '7', '4102': '8'}
        self.assertEqual(self.needs(3), ('No container is open.', 3))
        self.today.terminals.entered = [Shell('#')]
        self.assertIsNone(self.needs(3))


if __name__ == '__main__':
    summed.main()
