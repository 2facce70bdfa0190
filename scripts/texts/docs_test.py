#!/usr/bin/python3
"""Tests of the texts, and of what checks them. Ends with a line that sums all."""

import errno
import glob
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import results, summed
from texts import drawings, shells, sources, transcript


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

    def unsaid(self, *lines):
        return transcript.unsaid('\n'.join(lines))

    def test_whoever_reads_is_told_for_which_host_a_block_is(self):
        block = ['```console if cgroup v2', 'host# true', '```']
        self.assertEqual(self.unsaid('On v2:', '', *block), [])
        self.assertEqual(self.unsaid('A long sentence: with v2', 'it goes on.', *block), [])
        self.assertEqual(self.unsaid('It counts.', '', *block), [(3, 'cgroup v2')])

    def test_what_stands_further_up_does_not_tell(self):
        block = ['```console if cgroup v2', 'host# true', '```']
        for above in (['# On v2'], ['On v2:', '', 'It counts.'], ['On v2:', '', *block], [],
                      ['<!-- On v2 -->'], ['On v22:']):
            self.assertEqual(len(self.unsaid(*above, *block)), 1, above)

    def test_every_tool_that_it_takes_is_told(self):
        block = ['   ```console if skopeo and umoci', '   host# true', '   ```']
        self.assertEqual(self.unsaid('   With skopeo(1) and umoci(1):', *block), [])
        self.assertEqual(len(self.unsaid('   With skopeo(1):', *block)), 1)

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

    def test_what_would_be_run_by_nobody_is_refused(self):
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

    def test_what_is_typed_is_todays(self):
        same = transcript.Comparison({'4101'})
        self.assertEqual(same.typed_today('kill 4101'), 'kill 4101')
        same.lines(['4101'], ['7'])
        self.assertEqual(same.typed_today('kill 4101 41010'), 'kill 7 41010')


class Cutting(unittest.TestCase):
    SOURCE = '\n'.join([
        '// Why.', '// More.', 'void one(int a) {', '  if (a) {', '  }', '}', '',
        'int main() {', '  first();', '  second();', '}', ''])

    def test_a_function_with_its_comment(self):
        self.assertEqual(sources.cut(self.SOURCE, 'void one'),
                         '// Why.\n// More.\nvoid one(int a) {\n  if (a) {\n  }\n}\n')

    def test_from_a_line_to_a_line_without_their_indent(self):
        self.assertEqual(sources.cut(self.SOURCE, 'first() ... second()'),
                         'first();\nsecond();\n')

    def test_what_is_gone_is_an_error(self):
        for what in ('void two', 'first() ... third()', 'second() ... first()'):
            with self.assertRaises(sources.Missing):
                sources.cut(self.SOURCE, what)
        with self.assertRaises(sources.Missing):
            sources.cut('void one() {\n  first();', 'void one')

    def test_code_of_which_nobody_says_where_it_is_from_is_refused(self):
        for line in ('<!--code main.cpp: main -->', ' <!-- code main.cpp: main -->', 'Look:'):
            self.assertNotEqual(sources.uncut_code(f'{line}\n```cpp\nint main();\n```\n'), '', line)
        for line in ('<!-- code main.cpp: main -->\n```cpp', '1. Like this:\n   ```cpp'):
            self.assertEqual(sources.uncut_code(f'{line}\nint main();\n```\n'), '', line)


class Links(unittest.TestCase):
    def broken(self, text):
        with tempfile.TemporaryDirectory() as place:
            with open(os.path.join(place, 'other.md'), 'w', encoding='utf-8') as file:
                file.write('# A `title` here\n')
            return sources.broken_links(os.path.join(place, 'this.md'), text)

    def test_files_and_headings_are_looked_for(self):
        self.assertEqual(self.broken('[a](other.md) [b](other.md#a-title-here)'), [])
        self.assertEqual(self.broken('[a](none.md) [b](other.md#none)'),
                         ['none.md', 'other.md#none'])

    def test_what_nobody_would_follow_is_named(self):
        for link in ('[a](none.md "A title")', '[a]( none.md )', '[a][b]', '[b]: none.md',
                     '<a href="none.md">', '[a](/etc/passwd)'):
            self.assertEqual(len(self.broken(link)), 1, link)
        for link in ('../../../etc/passwd', '../../build/tests'):
            self.assertEqual(sources.broken_links('steps/04-uts/README.md', f'[a]({link})'),
                             [link])

    def test_other_sites_and_code_are_let_be(self):
        self.assertEqual(self.broken('[a](https://x.example)\n```\n[b](c)\n```\n'), [])


class Runs(unittest.TestCase):
    ROWS = [results.Row('host', '6.18', 'v1 + v2', 'root', 800, 0, 30),
            results.Row('lab', '6.1', 'v2', 'rootless', 300, 0, 100)]

    def test_the_counts_are_the_last_ones(self):
        self.assertEqual(results.counts('1 passed, 0 failed, 0 skipped\n'
                                     '2 passed, 1 failed, 3 skipped\nran: a:1\n'), (2, 1, 3))
        self.assertIsNone(results.counts('a kernel that hangs'))

    def test_kernels_and_cgroups_are_named_short(self):
        self.assertEqual(results.version('6.12.95+deb12-amd64'), '6.12')
        both = 'a /a cgroup rw 0 0\nb /b cgroup2 rw 0 0'
        self.assertEqual(results.cgroup(both), 'v1 + v2')
        self.assertEqual(results.cgroup('b /b cgroup2 rw 0 0'), 'v2')
        self.assertEqual(results.cgroup(''), 'none')

    def test_a_table_is_read_as_it_is_written(self):
        text = '\n'.join(['Before.'] + results.table(self.ROWS) + ['', 'After.'])
        self.assertEqual(results.rows(text), self.ROWS)
        self.assertEqual(results.with_table(text, self.ROWS), text)
        self.assertEqual(results.rows(results.with_table(text, self.ROWS[1:])), self.ROWS[1:])
        with self.assertRaises(ValueError):
            results.rows('Before.')


class RanNowhere(unittest.TestCase):
    TEXT = '\n'.join(['```console', 'host# one', 'host# two', '```',
                      '```console if cgroup v2', 'host# three', '```'])

    def nowhere(self, *ran):
        return results.nowhere([('a.md', command)
                             for command in transcript.parse(self.TEXT).commands], set(ran))

    def test_several_machines_cover_all(self):
        self.assertEqual(self.nowhere('a.md:2', 'a.md:3', 'a.md:6'), (2, []))

    def test_a_block_that_is_for_none_of_them_is_named(self):
        self.assertEqual(self.nowhere('a.md:2', 'a.md:3'),
                         (2, ['a.md:5: ran nowhere: it is for cgroup v2']))

    def test_half_a_block_does_not_count(self):
        self.assertEqual(self.nowhere('a.md:2', 'a.md:6'), (2, ['a.md:1: ran nowhere']))

    def test_the_same_line_of_another_text_does_not_count(self):
        self.assertEqual(self.nowhere('b.md:2', 'b.md:3', 'a.md:6'), (2, ['a.md:1: ran nowhere']))


class Shells(unittest.TestCase):
    def setUp(self):
        with tempfile.NamedTemporaryFile('w', delete=False) as file:
            file.write(shells.SETTINGS)
        self.addCleanup(os.unlink, file.name)
        self.shell = shells.Shell(shells.host_shell(file.name),
                                    shells.host_environment('/'))
        self.addCleanup(self.shell.close)

    def test_lines_are_returned_without_what_was_typed(self):
        self.assertEqual(self.shell.run(['echo one; echo two']), ['one', 'two'])
        self.assertEqual(self.shell.run(['true']), [])
        self.assertEqual(self.shell.run(['printf half']), ['half'])
        self.assertEqual(self.shell.run(['cat <<END', 'word', 'END']), ['word'])

    def test_a_shell_knows_whether_it_is_in_a_container(self):
        self.shell.run(["env PS1='box# ' sh -i"])
        self.assertTrue(self.shell.inside)
        self.assertEqual(self.shell.run(['echo in']), ['in'])
        self.shell.run(['exit'])
        self.assertFalse(self.shell.inside)

    def test_what_does_not_come_back_is_an_error(self):
        with self.assertRaises(shells.Failure):
            os.write(self.shell.file, b'sleep 60\n')
            self.shell.wait(seconds=0.3)
        os.write(self.shell.file, b'\x03')

    def test_what_prints_for_ever_is_an_error(self):
        with self.assertRaises(shells.Failure):
            self.shell.run(['yes'])
        os.write(self.shell.file, b'\x03')

    def test_a_shell_that_ends_is_an_error(self):
        with self.assertRaises(shells.Failure):
            self.shell.run(['exit'])


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

    def test_an_error_that_is_quoted_in_a_sentence_is_shown_by_a_block(self):
        """One of the same text, or a program of ours says it."""
        fault = re.compile("|".join(map(re.escape, map(os.strerror, errno.errorcode))) +
                           "|can't |^cannot |^no wall", re.I)
        number = 0
        for path in sorted(glob.glob('steps/0*/README.md')):
            text = sources.read(path)
            shown = [line for command in transcript.parse(text).commands for line in command.expected]
            said = [sources.read(source) for source in glob.glob('common/*.?pp') +
                    glob.glob(os.path.dirname(path) + '/*.cpp')]
            known = '\n'.join(shown + said)
            for quotes in re.findall(r'`([^`]*)`|"([^"]*)"', sources.BLOCK.sub('', text)):
                quote = ' '.join(''.join(quotes).split())
                if fault.search(quote):
                    number += 1
                    with self.subTest(path, quote=quote):
                        self.assertTrue(quote in known)
        self.assertGreater(number, 4)


def below(pid):
    """The command lines of all processes that descend from one."""
    found = []
    for child in contents(f'/proc/{pid}/task/{pid}/children').split():
        found += [contents(f'/proc/{child}/cmdline').replace('\0', ' ').strip(), *below(child)]
    return found


def contents(path):
    """Of a process that might have ended meanwhile."""
    try:
        return sources.read(path)
    except (FileNotFoundError, ProcessLookupError):
        return ''


class Drawings(unittest.TestCase):
    """What a browser measures in them is tested with the slides."""

    def drawn(self, path):
        """The text of a drawing from top to bottom: pairs of a height and words."""
        return sorted((int(y), re.sub('<.*?>', '', words)) for y, words in re.findall(
            r'<text [^>]*\by="(\d+)"[^>]*>(.*?)</text>', sources.read(path)))

    def test_they_say_what_the_lesson_and_the_code_say(self):
        steps = {os.path.basename(os.path.dirname(path)) for path in drawings.paths()}
        self.assertEqual(sorted(steps), [path[6:-9] for path in sorted(glob.glob('steps/0*/main.cpp'))])
        for path in drawings.paths():
            with self.subTest(path):
                self.assertEqual(drawings.faults(path), [])

    def test_what_differs_or_cannot_be_read_is_a_fault(self):
        path = next(path for path in drawings.paths() if path.endswith('/pids.svg'))
        svg, end = sources.read(path), '</g>\n</svg>'
        accent, quiet = (drawings.palette.colours()[name] for name in ('layer-02', 'quiet'))
        for old, new, why in (
                ('>4104<', '>4999<', 'neither its lesson nor the code has 4999'),
                ('>clone<', '>clones<', 'neither its lesson nor the code has clones'),
                ('>ESRCH<', '>EDOM<', 'neither its lesson nor the code has EDOM'),
                ('4103 02-pidns,', '02-pidns,', 'its desc does not say 4103'),
                ('role="img"', '', 'its role is not img'),
                ('</text>', '', 'not XML'),
                ('>One process, two numbers</title>', '></title>', 'no title'),
                (' in the list of the container: no process has', ' in it. No process has', None),
                ('height="824"', 'height="800"', 'not a sheet'),
                ('class="d02-pids"', 'class="pids"', 'its class'),
                ('<g id="d02-pids-nested"', '<g id="nested"', 'the id nested'),
                ('<g id="d02-pids-nested"', '<g id="d02-pids-desc"', 'two parts'),
                ('#d02-pids-a)', '#d02-pids-b)', 'it needs d02-pids-b'),
                (end, '<image href="more.png"/>' + end, 'a image'),
                ('<style>', '<style>@import "more.css";', 'from elsewhere'),
                (accent, '#1d5fbf', f'light: it has not the colour of its layer, {accent}'),
                (quiet, '#123456', 'light: #123456 is no colour'),
                ('class="bg"', 'fill="#ffffff"', '#ffffff is the same in the light and in the dark'),
                ('.d02-pids .q{fill:#a4adb8}', '', 'not every rule'),
                ('.d02-pids .dash', '.dash', '.dash would also apply'),
                ('font-size:18px', 'font-size:14px', 'text of 14')):
            self.assertIn(old, svg)
            found = ' '.join(drawings.faults(path, svg.replace(old, new)))
            self.assertIn(why or '', found, old)
            self.assertEqual(bool(why), bool(found), found)

    def test_a_lesson_shows_each_once_in_words_that_prove_nothing(self):
        path = drawings.TOP + '/steps/02-pidns/pids.svg'
        lesson = sources.read('steps/02-pidns/README.md')
        for pattern, new in ((r'\]\(pids.svg\)', '](other.svg)'),
                             (r'\]\(pids.svg\)', '](pids.svg)\n![](pids.svg)'),
                             (r'!\[[^]]*\]\(pids', '![All of it](pids')):
            changed, number = re.subn(pattern, new, lesson)
            self.assertEqual(number, 1)
            self.assertEqual(len(drawings.faults(path, lesson=changed)), 1, new)
        self.assertEqual(drawings.without('Text.\n![8888](pids.svg)\n', 'pids.svg'), 'Text.\n\n')

    def test_the_gate_is_drawn_in_the_order_of_the_code(self):
        code = sources.read('steps/03-userns/main.cpp')
        mapped = sources.cut(code, 'void map_ids').partition('} else {')[2]
        files = sorted(('uid_map', 'setgroups', 'gid_map'), key=mapped.index)
        child = code.partition('sys::clone(')[2]
        calls = {'gate.wait': 'waits at the gate', 'become_root': 'becomes root',
                 'change_root': 'chroot', '::execvp': 'execvp'}
        in_child = [calls[call] for call in sorted(calls, key=child.index)]
        self.assertLess(child.index('map_ids(child'), child.index('gate.open'))
        drawn = [words for _, words in self.drawn('steps/03-userns/gate.svg')]

        def place(word):
            return next(at for at, words in enumerate(drawn) if word in words)
        for order in (['clone(', in_child[0], 'writes in', *files, 'opens the gate', *in_child[1:]],
                      ['opens the gate', 'waits for the end', 'exit status']):
            self.assertEqual(sorted(order, key=place), order)

    def test_every_mount_is_counted(self):
        text = sources.read('steps/05-mountns/README.md')
        listed = next(command.expected for command in transcript.parse(text).commands
                      if re.match(r'cut .*/mountinfo$', command.typed[0]))
        self.assertEqual(listed[-1], '/mnt')  # It is made by hand, after the start.
        drawn = [words for _, words in self.drawn('steps/05-mountns/mounts.svg')]
        named = [word[len('/tmp/root'):] or '/' for word in drawn if re.fullmatch('/tmp/root.*', word)]
        self.assertLess({*named}, {*listed})
        self.assertIn(f'and {len(listed) - 1 - len(named)} more', drawn)

    def test_the_number_of_the_cable_is_that_of_its_addresses(self):
        drawn = ' '.join(words for _, words in self.drawn('steps/06-netns-veth/cable.svg'))
        number = int(re.search(r'\bbox(\d+)', drawn)[1])
        ends = {int(end) for end in re.findall(r'\b10\.199\.0\.(\d+)', drawn)}
        self.assertEqual(ends, {4 * number + 1, 4 * number + 2})  # The two of its number.

    def test_every_ring_stops_one_attack(self):
        drawn = sources.read('steps/08-all/walls.svg')
        rings = re.findall(r'<text class="t" x="\d+" y="\d+"><tspan class="b">(.*?)<', drawn)
        legend = re.findall(r'<text class="q s" x="562" [^>]*>(.*?)<', drawn)
        self.assertEqual(len(rings), 7)
        self.assertEqual(legend, rings[::-1])  # The innermost stops the first.

    @unittest.skipIf(os.geteuid() != 0, 'only root has an eth0 in its container')
    def test_the_attacks_end_as_drawn(self):
        rows = {}  # Of each height, what stands there: an attack, a wall, how it ends.
        for y, words in self.drawn('steps/08-all/walls.svg'):
            rows.setdefault(y, []).append(words)
        victim = subprocess.Popen(['sleep', '60'])
        self.addCleanup(victim.wait)
        self.addCleanup(victim.kill)  # First the last.
        attacks = {
            'unshare -U: a user namespace': ('unshare', '-U', 'true'),
            'ip link set eth0 down': ('ip', 'link', 'set', 'eth0', 'down'),
            'run /proc/self/exe': ('/proc/self/exe', '--help'),
            'read /sys/firmware': ('ls', '/sys/firmware'),
            'more than 256 processes':
                ('sh', '-c', 'for n in $(seq 300); do sleep 5 & done 2>&1; exit 1'),
            'kill 4101, a host process': ('sh', '-c', f'kill {victim.pid}')}
        # A set-uid program has a test in steps/08-all/test.cpp.
        self.assertEqual({*attacks}, {word for row in rows.values() for word in row} & {*attacks})
        for attack, command in attacks.items():
            with self.subTest(attack):
                end = next(row for row in rows.values() if attack in row)
                result = subprocess.run(['build/08-all', 'build/rootfs', *command], check=False,
                                        capture_output=True, text=True)
                said = (result.stdout + result.stderr).strip()
                if 'empty' in end:
                    self.assertEqual((said, result.returncode), ('', 0))
                    continue
                error, = (word for word in end if word in errno.errorcode.values())
                self.assertIn(os.strerror(getattr(errno, error)), said)
                self.assertNotEqual(result.returncode, 0)
        self.assertIsNone(victim.poll())


@unittest.skipIf(os.geteuid() != 0, 'texts are run as root')
class Machines(unittest.TestCase):
    """Those that others make for the course, by our description of them."""

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


@unittest.skipUnless(os.geteuid() == 0, 'texts are run as root')
class WholeTexts(unittest.TestCase):
    """scripts/docs, on texts with a fault."""

    def check(self, *lines, verb='check'):
        """What it ends with, what it says, and the text as it is then."""
        with tempfile.TemporaryDirectory(dir='build') as place:
            path = os.path.join(place, 'README.md')
            with open(path, 'w', encoding='utf-8') as file:
                file.write('\n'.join(lines) + '\n')
            result = subprocess.run(['scripts/docs', verb, path], capture_output=True,
                                    text=True, check=False)
            self.assertEqual(result.stderr, '')
            return (result.returncode, result.stdout.replace(path, 'README.md'),
                    sources.read(path).splitlines())

    def test_a_true_one_passes(self):
        status, said, _ = self.check(
            '<!-- vary: 7 -->', '```console', 'host# echo $$', '7', 'host# kill -0 7; id -u', '0',
            'host$ id -u', '1000', '```')
        self.assertEqual(status, 0, said)

    def test_an_ordinary_users_path_is_as_short_as_debians(self):
        status, said, _ = self.check('```console', 'host$ echo $PATH | grep -c sbin', '0',
                                     'host# echo $PATH | grep -c sbin', '1', '```')
        self.assertEqual(status, 0, said)

    def test_an_update_writes_what_came_out_where_it_differs(self):
        text = ['<!-- vary: 7 -->', '1. Why?', '   ```console', '   host# echo 1; echo 2', '   old',
                '   host# echo 3', '   7', '   ```']
        self.assertEqual(self.check(*text, verb='update')[2],
                         text[:4] + ['   1', '   2'] + text[5:])

    def test_two_numbers_shown_equal_that_differ_fail(self):
        status, said, _ = self.check('<!-- vary: 7 -->', '```console', 'host# echo 1', '7',
                                  'host# echo 2', '7', '```')
        self.assertEqual(status, 1)
        self.assertIn('README.md:5: echo 2: 7 was 1 before, and is 2 now', said)

    def test_a_lesson_without_a_block_that_is_run_fails(self):
        for lines in (['# A lesson'], ['If nothing:', '```console if nothing', 'host# true', '```']):
            status, said, _ = self.check(*lines)
            self.assertEqual(status, 1)
            self.assertIn('README.md: a lesson in which nothing is run', said)

    def test_a_kind_of_host_that_nobody_knows_fails(self):
        said = self.check('```console if cgroup v3', 'host# true', '```')[1]
        self.assertIn('no such kind of host: cgroup v3', said)

    def test_a_kind_of_host_that_the_sentence_above_does_not_name_fails(self):
        said = self.check('It counts.', '', '```console if cgroup v1', 'host# true', '```')[1]
        self.assertIn('README.md:3: the sentence above does not say that it is for cgroup v1', said)

    def test_links_and_code_that_are_gone_fail(self):
        said = self.check('# Here', '[a](none.md) [b](#there) [c](#here)',
                          '<!-- code none.cpp: void none -->', '```cpp', '```')[1]
        for what in ('leads nowhere: none.md', 'leads nowhere: #there', 'none.cpp: '):
            self.assertIn(what, said)
        self.assertNotIn('#here', said)

    def test_code_that_is_cut_from_nowhere_fails(self):
        status, said, _ = self.check('```console', 'host# true', '```', '', '```cpp', 'int a;', '```')
        self.assertEqual(status, 1)
        self.assertIn('README.md: code that is cut from no source: ```cpp', said)

    def test_what_is_left_behind_or_taken_away_fails(self):
        group = next(line.split()[1] for line in sources.read('/proc/self/mounts').splitlines()
                     if line.split()[2].startswith('cgroup')) + '/left4711'
        traces = {
            'file /dev/shm/left': 'touch /dev/shm/left', 'file /root/left': 'touch /root/left',
            'file /etc/hosts (': 'echo >>/etc/hosts', 'mount /mnt': 'mount --bind /mnt /mnt',
            'interface left': 'ip link add left type veth peer name right',
            'route blackhole 10.9.9.9': 'ip route add blackhole 10.9.9.9',
            'process sleep 4711': 'setsid sleep 4711 &', 'System V msg': 'ipcmk -Q >/dev/null',
            'setting kernel/hostname = left': 'hostname left', f'cgroup {group}': f'mkdir {group}',
            'file /run/host/rootfs-0/root/left (': 'touch build/rootfs/root/left'}
        status, said, _ = self.check('```console', *(f'host# ({typed})' for typed in traces.values()),
                                     'host$ touch build/rootfs/mine', '```')
        self.assertEqual(status, 1)
        for trace in traces:
            self.assertIn(f'README.md: leaves a trace: {trace}', said)
        self.assertIn('README.md: leaves a trace: file /run/host/rootfs-1000/mine (', said)
        self.assertIn('README.md: takes away: setting kernel/hostname = host', said)
        self.assertFalse(os.path.exists(group))

    def test_what_nobody_gave_to_the_text_cannot_be_written_to(self):
        status, said, _ = self.check('```console', 'host# touch /left', '```')
        self.assertEqual(status, 1)
        self.assertIn("touch: cannot touch '/left': Read-only file system", said)

    def test_what_others_do_meanwhile_is_not_the_texts(self):
        with tempfile.TemporaryDirectory(dir='steps') as place, subprocess.Popen(
                ['sh', '-c', f'sleep 2; touch {place}/.README.md.swp; sleep 9']) as other:
            status, said, _ = self.check('```console', 'host# sleep 3', '```')
            other.kill()
        self.assertEqual(status, 0, said)

    def test_a_network_namespace_that_others_remove_meanwhile_is_not_the_texts(self):
        name = f'docs-test-{os.getpid()}'
        subprocess.run(['ip', 'netns', 'add', name], check=True)
        wait = 'until pgrep -fx "sleep 4.711" >/dev/null; do sleep 0.1; done'
        with subprocess.Popen(['sh', '-c', f'{wait}; ip netns delete {name}']) as other:
            status, said, _ = self.check('```console', 'host# sleep 4.711', '```')
            other.wait()
        self.assertEqual(status, 0, said)

    def test_a_signal_ends_it_whenever_it_comes_and_leaves_nothing(self):
        """^C and ^\\, which the terminal sends to all; and others, which are sent to it alone."""
        for number, send in ((signal.SIGINT, os.killpg), (signal.SIGQUIT, os.killpg),
                             (signal.SIGINT, os.kill), (signal.SIGTERM, os.kill),
                             (signal.SIGHUP, os.killpg)):
            for moment in ('docs.*', 'chown', 'sleep 4711'):
                with self.subTest(number, send=send, moment=moment):
                    self.end_it(send, number, moment)

    def end_it(self, send, number, moment):
        """When there is a file of this name, or a process whose command line begins so."""
        with tempfile.TemporaryDirectory() as place, tempfile.TemporaryFile('w+') as said:
            with open(f'{place}/README.md', 'w', encoding='utf-8') as file:
                file.write('```console\nhost# sleep 4711\n```\n')
            with subprocess.Popen(['scripts/docs', 'check', file.name], start_new_session=True,
                                  env={**os.environ, 'TMPDIR': place},
                                  preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
                                  stdout=said, stderr=said) as docs:
                while docs.poll() is None and not (
                        glob.glob(f'{place}/{moment}') or
                        any(line.startswith(moment) for line in below(docs.pid))):
                    time.sleep(0.001)
                send(docs.pid, number)
                docs.wait()
            said.seek(0)
            self.assertEqual(docs.returncode, 128 + number, said.read())
            self.assertEqual(glob.glob(f'{place}/docs.*'), [])

    def test_a_signal_that_its_caller_ignores_does_not_end_it(self):
        with tempfile.TemporaryDirectory(dir='build') as place:
            os.mkfifo(f'{place}/fifo')
            with open(f'{place}/README.md', 'w', encoding='utf-8') as file:
                file.write(f'```console\nhost# cat {place}/fifo\nend\n```\n')
            with subprocess.Popen(['scripts/docs', 'check', file.name], start_new_session=True,
                                  preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
                                  stdout=subprocess.PIPE, text=True) as docs:
                while docs.poll() is None and f'cat {place}/fifo' not in below(docs.pid):
                    time.sleep(0.01)
                os.killpg(docs.pid, signal.SIGHUP)
                with open(f'{place}/fifo', 'w', encoding='utf-8') as fifo:
                    fifo.write('end\n')
                said = docs.communicate()[0]
            self.assertEqual(docs.returncode, 0, said)

    def test_a_text_may_lie_where_its_host_has_files_of_its_own(self):
        def run(verb, path, status, end):
            result = subprocess.run(['scripts/docs', verb, path], capture_output=True, text=True,
                                    check=False)
            self.assertEqual((result.returncode, result.stderr), (status, ''))
            self.assertIn(end, result.stdout)
        for top in ('/tmp', '/root', '/opt'):
            with self.subTest(top), tempfile.TemporaryDirectory(prefix='a blank', dir=top) as place:
                paths = [f'{place}/README.md', f'{place}.md']
                for path in paths:
                    with open(path, 'w', encoding='utf-8') as file:
                        file.write('```console\nhost# echo 1\n2\n```\n')
                try:
                    run('check', paths[0], 1, 'real: 1')
                    run('update', paths[1], 0, 'updated')
                    run('check', paths[1], 0, ' passed, 0 failed, 0 skipped')
                finally:
                    os.remove(paths[1])

    def test_a_path_is_seen_from_where_its_caller_is(self):
        with tempfile.TemporaryDirectory(dir='build') as place:
            with open(f'{place}/README.md', 'w', encoding='utf-8') as file:
                file.write('```console\nhost# echo 1\n1\n```\n[a](other.md)\n')
            result = subprocess.run([os.path.abspath('scripts/docs'), 'check', 'README.md'], cwd=place,
                                    capture_output=True, text=True, check=False)
            self.assertIn(f'{place}/README.md: leads nowhere: other.md', result.stdout)

    def test_what_is_no_text_is_one_line(self):
        for path in ('nosuch.md', 'steps/02-pidns/main.cpp', 'steps'):
            result = subprocess.run(['scripts/docs', 'check', path], capture_output=True,
                                    text=True, check=False)
            self.assertEqual((result.returncode, len(result.stderr.splitlines())), (1, 1), path)

    def test_without_root_what_needs_no_running_is_checked(self):
        if os.geteuid() != 0:
            self.skipTest('root becomes somebody else here')
        with tempfile.TemporaryDirectory(dir='/tmp') as place:
            os.chmod(place, 0o755)
            for name in ('scripts', 'steps'):
                shutil.copytree(name, f'{place}/{name}')
            with open(f'{place}/steps/04-uts/README.md', 'a', encoding='utf-8') as file:
                file.write('\n[a](none.md)\n')
            result = subprocess.run([f'{place}/scripts/docs', 'check', 'steps/04-uts/README.md'],
                                    capture_output=True, text=True, check=False, user=65534,
                                    cwd=place)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn('README.md: leads nowhere: none.md', result.stdout)

    def test_the_text_of_02_notices_that_its_flag_is_gone(self):
        result = subprocess.run(['scripts/ci/mutants', 'no CLONE_NEWPID'], capture_output=True,
                                env={**os.environ, 'TEXTS': 'yes'}, text=True, check=False)
        self.assertIn('steps/02-pidns/README.md:', result.stdout)
        self.assertIn('1 mutants, 0 not noticed', result.stdout)


if __name__ == '__main__':
    os.chdir(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    summed.main()
