#!/usr/bin/python3
"""Tests of the deck and of the recordings. Ends with a line that sums all.

  usage   scripts/talk/deck_test.py [TEST...]    by name, as Deck.test_what_the_slides_show_is_there

They only compare texts, so `make test` runs them: a text that is changed shows here.
"""

import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from talk import deck, recording
from texts import sources, transcript


class Recordings(unittest.TestCase):
    def parts(self, text):
        return [('Run it', transcript.parse('```console\n' + text + '\n```').commands)]

    def test_a_program_without_a_command_opens_the_container(self):
        for line, pane in (('host# build/02-pidns', 'box'), ('host$ build/04-uts 2>/dev/null', 'box'),
                           ('host# build/07-x --memory 7M', 'box'), ('box# ls', 'box'),
                           ('host# build/02-pidns build/rootfs ls', 'host'), ('host# ls', 'host')):
            command = self.parts(line)[0][1][0]
            self.assertEqual(recording.pane_of(command), pane, line)

    def test_the_last_frame_of_the_cast_shows_the_end(self):
        lines = recording.cast('02', self.parts('host# id\nuid=0')).splitlines()
        self.assertEqual(json.loads(lines[0])['version'], 2)
        times = [json.loads(line)[0] for line in lines[1:]]
        self.assertEqual(times, sorted(times))
        self.assertIn('uid=0', lines[-1])

    def test_the_picture_moves_once_and_not_for_who_wants_no_motion(self):
        made = recording.picture('02', self.parts('host# build/02-pidns\nbox# echo $$\n1\nhost# id\n0'))
        self.assertNotIn('<animate', made)
        self.assertNotIn('infinite', made)
        self.assertIn('@media(prefers-reduced-motion:reduce){text{animation:none!important}}', made)
        self.assertIn('svg:hover text{animation-play-state:paused!important}', made)
        still = [re.sub('<.*?>', '', text) for text in re.findall('<text.*?</text>', made)
                 if 'visibility:hidden' not in text]
        self.assertEqual([text for text in still if text[0] != ' '],
                         ['host# build/02-pidns', 'box# echo $$', '1', 'box#', 'host# id', '0', 'host#'])

    def test_every_step_has_a_demo_and_a_terminal_for_it(self):
        for step in deck.STEPS:
            parts = recording.of_step(step)
            self.assertTrue(parts, step)
            # In a part, a pane is one user's.
            for heading, commands in parts:
                self.assertEqual(len({c.sign for c in commands if c.place == 'host'}), 1, heading)

    def test_the_step_before_is_attacked_first(self):
        for step in list(deck.STEPS)[1:]:
            (heading, commands), *_ = recording.of_step(step)
            self.assertEqual(heading, f'The hole in step {int(step) - 1:02}')
            before = f'build/{deck.STEPS[f"{int(step) - 1:02}"]}'
            self.assertIn(before, '\n'.join(line for command in commands for line in command.typed))

    def test_the_committed_picture_is_todays(self):
        self.assertTrue(sources.read(f'{deck.TOP}/{recording.PICTURE}') == recording.readmes_picture(),
                        'make record-update')

    def test_each_part_stands_alone(self):
        """A demo can start with any part, so no part may name a number of another part."""
        for step in deck.STEPS:
            script = transcript.parse(recording.text_of(step))
            for heading, commands in recording.of_step(step):
                shown = ''
                for command in commands:
                    typed = '\n'.join(command.typed)
                    for number in re.findall(r'\b\d+\b', typed):
                        if number in script.vary:
                            self.assertIn(number, shown, f'{step}, {heading}: {typed}')
                    shown += typed + '\n'.join(command.expected)


class Deck(unittest.TestCase):
    def test_what_the_slides_show_is_there(self):
        for number, one in enumerate(deck.read(), 1):
            with self.subTest(slide=number, title=one.title):
                deck.to_html(re.sub(r'!\[.*?\]\(.*?\)', '', one.text))

    def test_the_plans_leave_time_for_questions_and_breaks(self):
        self.assertEqual(deck.minutes(deck.read()), {'talk': 90 - 15, 'three': 180 - 15, 'all': 240})

    def test_the_slides_of_the_epilogue_are_five_minutes(self):
        """Not in a plan: who wants them copies them into the deck."""
        slides = deck.parse(deck.sources.read(deck.TOP + '/steps/oci/talk.md'))
        self.assertEqual(sum(one.minutes for one in slides), 5)
        for one in slides:
            deck.to_html(one.text)

    def test_what_is_said_and_typed_fits_into_the_minutes(self):
        """At 130 words a minute, 15 seconds for a guess and 10 for a command: of each slide, and of
        each part a third is left for what nobody has written."""
        planned, needed = {}, {}
        for one in deck.read():
            said = [line for line in one.notes.split('\n') if line.startswith(('Say:', 'Ask:'))]
            made = deck.to_html(re.sub(r'!\[.*?\]\(.*?\)', '', one.text))
            minutes = len(' '.join(said).split()) / 130 + one.notes.count('Ask:') / 4 + \
                len(re.findall('class="fragment (?:box|host)"', made)) / 6
            self.assertLessEqual(minutes, one.minutes + 0.05, one.title)
            if one.is_in('talk'):
                planned[one.part] = planned.get(one.part, 0) + one.minutes
                needed[one.part] = needed.get(one.part, 0) + minutes
        for part, minutes in needed.items():
            self.assertLessEqual(minutes, planned[part] * 2 / 3, part)

    def test_a_sentence_can_be_said_in_one_breath(self):
        for one in deck.read():
            for line in re.findall('^(?:Say|Ask|Asked): (.*)$', one.notes, re.M):
                for sentence in re.split(r'(?<=[.?!:])[*]?\s', line):
                    self.assertLessEqual(len(sentence.split()), 22, one.title)

    def test_the_plan_for_instructors_is_the_decks(self):
        part = {plan: dict.fromkeys(['intro', *deck.STEPS, 'end'], 0) for plan in deck.PLANS}
        for one in deck.read():
            for plan, minutes in part.items():
                minutes[one.part] += one.minutes if one.is_in(plan) else 0
        rows = re.findall(r'^\| (intro|\d\d|end|all) \| .*?\| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|',
                          sources.read(deck.TOP + '/steps/instructors.md'), re.M)
        for plan, *told in zip(deck.PLANS, *(map(float, row[1:]) for row in rows)):
            self.assertEqual(told, [*part[plan].values(), sum(part[plan].values())], plan)

    def test_the_sizes_for_projectors_are_those_that_fit(self):
        """A cell of a fixed font is 0.6 em wide and 1.2 high, and a point is 4/3 of a pixel."""
        rows = re.findall(r'^\| (\d+) × (\d+) \| (\d+) \| (\d+) \| (\d+) \|$',
                          sources.read(deck.TOP + '/steps/instructors.md'), re.M)
        self.assertGreater(len(rows), 2)
        for wide, high, points, columns, lines in (map(int, row) for row in rows):
            pixels = points * 4 / 3
            self.assertEqual((columns, lines), (int(wide / (0.6 * pixels)), int(high / (1.2 * pixels))), wide)
            self.assertGreaterEqual(columns, recording.COLUMNS)
            self.assertGreaterEqual(lines, recording.LINES)
            self.assertLess(wide / (0.6 * pixels * 1.1), recording.COLUMNS)  # It is about the largest.

    def test_every_step_has_code_a_demo_and_its_matrix(self):
        text = {part: '' for part in deck.STEPS}
        for one in deck.read():
            if one.part in text and one.is_in('talk'):
                text[one.part] += one.text
        for part, all_of_it in text.items():
            for what in (f'```cpp {part}', f'```demo {part}: Run it', f'```matrix {part}'):
                self.assertIn(what, all_of_it)

    def test_few_words(self):
        for one in deck.read():
            words = len(re.sub(r'(?s)```.*?```|!\[.*?\]\(.*?\)|\|', '', one.text).split())
            self.assertLessEqual(words, 75, one.title)


summed.main()
