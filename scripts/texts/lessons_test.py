#!/usr/bin/python3
"""Tests of what the lessons and the files for other machines say. Ends with a line that sums all."""

import errno
import glob
import importlib.util
import json
import math
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from texts import sources, transcript

BLOCK = re.compile(r'^ *```.*?^ *```$', re.M | re.S)
WORDS, CHARACTERS, COMMAND = 140, 150, 6
NOT_READ = [re.compile(r'<!--.*?-->', re.S), re.compile(r'^ *```console.*?^ *```$', re.M | re.S),
            re.compile(r'\]\([^)]*\)')]


def minutes(path):
    """How long a reader needs for a lesson without its exercises, to read and to type, each rounded
    up to a multiple of five.

    We timed no reader. We assume that a reader with English as second language reads 140 words a
    minute, also in tables and in code, and types 150 characters a minute. Six more seconds for each
    command are for a change of the terminal and a look at the output. In a run of all texts, a
    command itself needed 0.2 seconds on average. Of two blocks for v1 and v2, a reader types one."""
    text = sources.read(path)
    story = re.split(r'^## (?:Exercises|By hand)$', text, maxsplit=1, flags=re.M)[0]
    last = story.count('\n')
    for pattern in NOT_READ:
        story = pattern.sub(' ', story)
    words = len(re.findall(r'\w\S*', story))
    commands = [command for command in transcript.parse(text).commands
                if command.line <= last and command.condition != 'cgroup v1']
    characters = sum(len(line) + 1 for command in commands for line in command.typed)
    return tuple(5 * math.ceil(one / 5) for one in (
        words / WORDS, characters / CHARACTERS + len(commands) * COMMAND / 60))


class Lessons(unittest.TestCase):
    # The story, and from "By hand" on what is looked up. A lesson can have more parts.
    PARTS = ['Run it', 'The idea', 'The code', 'Look from outside', 'What is still open',
             'You can now explain', 'Check yourself', 'Exercises', 'By hand', 'How others do it',
             'What changed in the matrix', 'Pitfalls', 'Further reading']

    def test_each_has_all_its_parts(self):
        paths = sorted(glob.glob('steps/0*/README.md'))
        self.assertEqual(len(paths), 8)
        for path in paths:
            with self.subTest(path):
                text = sources.read(path)
                hole, *parts = re.findall('^## (.*)', text, re.M)
                self.assertIn(hole, ('The problem', f'The hole in step {int(path[6:8]) - 1:02}'))
                self.assertEqual([part for part in parts if part in self.PARTS], self.PARTS)
                self.assertIn('](diagram.svg)', text)
                questions = text.partition('## Check yourself')[2]
                self.assertEqual(questions.count('<details><summary>Answer</summary>'), 6)
                for goal in ('start', 'check'):
                    self.assertIn(f'`make {goal}-{path[6:8]}`', questions)

    def test_the_table_of_namespaces_is_the_kernels_and_the_steps(self):
        rows = re.findall(r'^\| (\w+) \| `(CLONE_\w+)` \| (\w+)_namespaces\(7\) \| .* \| (.*) \|$',
                          sources.read('steps/04-uts/README.md'), re.M)
        self.assertEqual(sorted(kind for kind, *_ in rows), sorted(
            kind for kind in os.listdir('/proc/self/ns') if not kind.endswith('_for_children')))
        for kind, flag, page, step in rows:
            self.assertEqual(page, {'mnt': 'mount', 'net': 'network'}.get(kind, kind))
            self.assertIn(flag, {'CLONE_NEWNS', 'CLONE_NEW' + kind.upper()})
            used_in = [path[6:8] for path in sorted(glob.glob('steps/0*/main.cpp'))
                       if re.search(rf'\b{flag}\b', sources.read(path))]
            self.assertEqual(step[:2], used_in[0] if used_in else 'no', flag)

    def test_the_table_of_cgroup_files_names_those_that_are_used(self):
        text = sources.read('steps/07-cgroup-memory/README.md')
        used = sources.read('steps/07-cgroup-memory/main.cpp') + '\n'.join(
            line for command in transcript.parse(text).commands for line in command.typed)
        # All but the drawing, the kernel's page, and a name in runc's config.json.
        named = set(re.findall(r'\b(?:memory|cgroup)\.[a-z._]*[a-z]\b', text)
                    ) - {'cgroup.svg', 'memory.rst', 'memory.limit'}
        self.assertGreater(len(named), 6)
        for name in named:
            self.assertRegex(used, re.escape(name) + r'\b')

    def test_the_files_of_v1_and_of_v2_are_each_used_where_there_is_that_version(self):
        text = sources.read('steps/07-cgroup-memory/README.md')
        commands = transcript.parse(text).commands
        table = text.partition('| | v1 | v2 |')[2].partition('\n\n')[0]
        rows = [row.split('|')[2:4] for row in table.splitlines() if row.startswith('| ')]
        for column, other in ((0, 'cgroup v2'), (1, 'cgroup v1')):
            names = re.findall(r'\b(?:memory|cgroup)\.[a-z._]+[a-z]', ' '.join(
                row[column] for row in rows if 'subtree' not in row[column]))
            self.assertGreater(len(names), 2)
            for name in names:
                self.assertNotIn(name, [word for command in commands if command.condition == other
                                        for word in re.findall(r'[\w.]+', ' '.join(command.typed))])

    def test_the_table_of_controllers_has_all_of_this_kernels(self):
        table = sources.read('steps/07-cgroup-memory/README.md').partition(
            '| v1 | v2 | counts')[2].partition('\n\n')[0]
        named = [set(re.findall(r'\w+', '|'.join(line.split('|')[column]
                                                 for line in table.splitlines()[2:])))
                 for column in (1, 2)]
        self.assertGreater(len(named[0]), 12)
        known = [line.split() for line in sources.read('/proc/cgroups').splitlines()[1:]]
        on_v1 = {name for name, tree, *_ in known if tree != '0'}
        on_v2 = {name for path in glob.glob('/sys/fs/cgroup/cgroup.controllers') +
                 glob.glob('/sys/fs/cgroup/*/cgroup.controllers')
                 for name in sources.read(path).split()}
        self.assertLessEqual(on_v1, named[0])
        self.assertLessEqual(on_v2, named[1])
        self.assertLessEqual({name for name, *_ in known} - {'debug'}, named[0] | named[1])

    def test_the_deck_has_the_kinds_of_namespaces_of_the_text(self):
        in_text = re.findall(r'^\| \w+ \| `(CLONE_\w+)` \| \w+\(7\) \| ([\d.]+) \|',
                             sources.read('steps/04-uts/README.md'), re.M)
        in_deck = re.findall(r'^\| \w+ \| `(CLONE_\w+)` \| ([\d.]+) \|',
                             sources.read('slides/slides.md'), re.M)
        self.assertEqual(len(in_text), 8)
        self.assertEqual(in_text, in_deck)

    def test_the_table_of_walls_has_every_file_of_08(self):
        table = sources.read('steps/08-all/README.md').partition(
            '| IPC namespace')[2].partition('\n\n')[0]
        self.assertEqual(
            set(re.findall(r'\]\((\w+\.cpp)\)', table)),
            set(re.findall(r'^// -* ?(\w+\.cpp)\b', sources.read('steps/08-all/layers.hpp'),
                           re.M)) | {'terminal.cpp'})

    def test_08_keeps_as_many_capabilities_as_its_text_says(self):
        kept = sources.read('steps/08-all/capabilities.cpp').partition('kKept{')[2].partition('}')[0]
        self.assertIn(f'| capabilities | {len(re.findall("CAP_", kept))}, in a user namespace | ',
                      sources.read('steps/08-all/README.md'))

    def test_what_is_typed_is_at_most_100_columns_wide(self):
        number = 0
        for path in glob.glob('steps/*.md') + glob.glob('steps/0*/README.md'):
            for command in transcript.parse(sources.read(path)).commands:
                prompts = [f'{command.place}{command.sign} '] + ['> '] * (len(command.typed) - 1)
                for prompt, line in zip(prompts, command.typed):
                    number += 1
                    self.assertLessEqual(len(command.indent + prompt + line), 100,
                                         f'{path}:{command.line}: {line}')
        self.assertGreater(number, 500)

    def test_another_program_is_named_with_its_version_and_some_are_run(self):
        for path in sorted(glob.glob('steps/0*/README.md')):
            with self.subTest(path):
                part = sources.read(path).partition('\n## How others do it\n')[2]
                part = part.partition('\n## ')[0]
                head, _, *rows = part.strip().partition('\n\n')[0].splitlines()
                across = head.startswith('| | 08-all |')  # There the programs are the columns.
                named = head.split('|')[3:] if across else [row.split('|')[1] for row in rows]
                for name in re.split(', (?!rootless)', ', '.join(filter(str.strip, named))):
                    self.assertRegex(name, r'\w \d')
                self.assertRegex(part, r'```console if (runc|bwrap)\n')

    def test_the_times_in_the_boxes_are_those_of_the_words_and_commands(self):
        whole, hours = 0, dict(enumerate('four five six seven'.split(), 4))
        for path in ['steps/README.md', 'steps/docker.md', *glob.glob('steps/0*/README.md')]:
            time = minutes(path)
            whole += sum(time) if path != 'steps/docker.md' else 0
            said = re.search(r'bout (\d+) minutes to read,? and (\d+) minutes to type',
                             sources.read(path))
            self.assertEqual(tuple(map(int, said.groups())), time, path)
        self.assertIn(f'Allow {hours[whole // 60]} to {hours[whole // 60 + 1]} hours',
                      sources.read('README.md'))
        told = ' '.join(sources.read('steps/README.md').split())
        self.assertIn(f'you read {WORDS} words or type {CHARACTERS} characters in a '
                      f'minute, and look at each output for {COMMAND} seconds', told)

    def test_an_error_that_is_quoted_in_a_sentence_is_shown_by_a_block(self):
        """One of the same text, or a program of ours says it."""
        fault = re.compile("|".join(map(re.escape, map(os.strerror, errno.errorcode))) +
                           "|can't |^cannot |^no wall", re.I)
        number = 0
        for path in sorted(glob.glob('steps/0*/README.md')):
            text = sources.read(path)
            shown = [line for command in transcript.parse(text).commands for line in command.expected]
            said = [sources.read(source) for source in glob.glob('common/**/*.?pp', recursive=True) +
                    glob.glob(os.path.dirname(path) + '/*.cpp')]
            known = '\n'.join(shown + said).replace('lack("', '("no ')
            for quotes in re.findall(r'`([^`]*)`|"([^"]*)"', BLOCK.sub('', text)):
                quote = ' '.join(''.join(quotes).split())
                if fault.search(quote):
                    number += 1
                    with self.subTest(path, quote=quote):
                        self.assertTrue(quote in known)
        self.assertGreater(number, 4)


@unittest.skipIf(os.geteuid() != 0, 'texts are run as root')
class Machines(unittest.TestCase):
    """The machines that other programs make from our descriptions."""

    def test_the_dev_container_is_privileged_and_its_commands_are_ours(self):
        with open('.devcontainer/devcontainer.json', encoding='utf-8') as file:
            about = json.load(file)
        self.assertIs(about['privileged'], True)
        for name, command, dry in (
                ('onCreateCommand', 'scripts/setup test', 'scripts/setup --list apt test'),
                ('postCreateCommand', 'make build rootfs', 'make -n build rootfs')):
            self.assertEqual(about[name], command)
            subprocess.run(dry.split(), check=True, capture_output=True)

    @unittest.skipUnless(importlib.util.find_spec('yaml'), 'there is no yaml module')
    def test_the_machine_for_lima_is_yaml_and_sets_up_by_a_script_of_sh(self):
        import yaml
        with open('.lima.yaml', encoding='utf-8') as file:
            about = yaml.safe_load(file)
        self.assertEqual(about['base'], 'template://debian-12')
        self.assertEqual([part['mode'] for part in about['provision']], ['system'])
        script = about['provision'][0]['script']
        self.assertIn('apt-get install', script)
        subprocess.run(['sh', '-n'], input=script, text=True, check=True)


if __name__ == '__main__':
    summed.main()
