#!/usr/bin/python3
"""Tests of README.md: what it shows is what comes out. Ends with a line that sums all.

  needs   root, else one is skipped; make build rootfs
"""

import glob
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from host import testing
from texts import sources


def shown_for(command):
    """The outputs behind `$ command` in the README's console blocks, as lines."""
    found = re.findall(r'^\$ ' + re.escape(command) + r'\n((?:(?!```|\$ ).*\n)*)',
                       sources.read('README.md'), re.M)
    return ''.join(found).splitlines()


def without_numbers(line):
    """Numbers differ from run to run and from host to host, and so does the file that holds the
    limit: it is another one on cgroup v1 than on v2."""
    return re.sub(' +', ' ', re.sub(r'[0-9.]+', '0', line)).partition('cgroup/memory')[0]


def row_of(path):
    """The row of a step in the table of README.md, from the head of its source."""
    step, source = path.split('/')[1], sources.read(path)
    head = re.sub('\n//', ' ', source[:source.index('\n\n')])
    head = ' '.join(head.split())

    def words(first, last):
        return re.search(rf'\b{first} (.*?)\.?(?: {last}|$)', head)[1]
    pages = re.search(r'\.man_pages = "(.*?)"', source)[1]
    return (f'| [{step}](steps/{step}/README.md), [code](steps/{step}/main.cpp) | '
            f'{words("The container gets", "usage")} | {pages} | {words("who", "new")} | '
            f'{words("open", "$")} |\n')


class Readme(testing.OnAHost):
    def test_the_table_of_the_steps_is_that_of_their_heads(self):
        rows = [row_of(path) for path in sorted(glob.glob('steps/0*/main.cpp'))]
        self.assertEqual(len(rows), 8)
        self.assertIn('| step | the container gets | man pages | runs as | still open |\n'
                      '|---|---|---|---|---|\n' + ''.join(rows), sources.read('README.md'))

    @testing.needs_root
    def test_make_run_shows_what_the_readme_shows(self):
        shown = shown_for('make run </dev/null')
        self.assertGreater(len(shown), 10)
        real = testing.shell('scripts/run build/08-all build/rootfs').out.splitlines()
        self.assertEqual([without_numbers(line) for line in real],
                         [without_numbers(line) for line in shown])

    def test_every_make_target_that_readme_or_hosts_names_is_in_the_help(self):
        told = testing.shell('make').out
        named = [target for page in ('README.md', 'steps/hosts.md')
                 for target in re.findall(r'(?:`|\n    |\$ )make ([a-z][^\s`",.;:]*)',
                                          sources.read(page))]
        self.assertGreater(len(named), 10)
        self.assertEqual([target for target in named if 'make ' + target not in told], [])

    def test_it_is_one_page_and_its_files_are_there(self):
        text = sources.read('README.md')
        self.assertLessEqual(len(text.splitlines()), 110)
        files = re.findall(r'\]\((.*?)\)', text)
        self.assertGreater(len(files), 5)
        self.assertEqual([file for file in files if not testing.contents(file)], [])


if __name__ == '__main__':
    testing.main()
