#!/usr/bin/python3
"""Tests of the links of the texts. Each leads to a file of this project, and to a heading in it. Ends
with a line that sums all."""

import functools
import glob
import os
import re
import sys
import tempfile
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from texts import links, sources


@functools.cache
def anchors_in(path):
    return set(links.anchors(sources.read(path)))


def is_foreign(path, name):
    """Whether a link leads to no file of the project. Such a path begins with a slash, leads out
    of the project, or leads to a file that is built."""
    first = os.path.normpath(os.path.join(os.path.dirname(path), name)).split(os.sep)[0]
    return os.path.isabs(name) or first in ('..', 'build')


def is_broken(path, link):
    """Whether a relative link leads nowhere, or out of the project."""
    name, _, place = urllib.parse.unquote(link).partition('#')
    target = os.path.join(os.path.dirname(path), name) if name else path
    return not os.path.exists(target) or bool(name) and is_foreign(path, name) or \
        bool(place) and place not in anchors_in(target)


def broken_links(path, text):
    """Links that lead nowhere or out of the project, links in HTML, and references without a
    definition."""
    found = {}
    tokens = links.MARKDOWN.parse(text, found)
    tokens += [piece for token in tokens for piece in token.children or []]
    hrefs = [token.attrs.get('href') or token.attrs.get('src') for token in tokens]
    hrefs += [reference['href'] for reference in found.get('references', {}).values()]
    broken = [link for link in hrefs
              if link and not re.match(r'[a-z]+:', link) and is_broken(path, link)]
    return broken + [token.content for token in tokens
                     if token.type == 'text' and '][' in token.content or
                     token.type in ('html_inline', 'html_block') and '<a ' in token.content]


class Links(unittest.TestCase):
    def test_no_link_of_a_text_leads_nowhere(self):
        paths = ['README.md', *glob.glob('steps/*.md'), *glob.glob('steps/*/*.md')]
        self.assertGreater(len(paths), 20)
        for path in paths:
            self.assertEqual(broken_links(path, sources.read(path)), [], path)

    def broken(self, text):
        with tempfile.TemporaryDirectory() as place:
            with open(os.path.join(place, 'other.md'), 'w', encoding='utf-8') as file:
                file.write('# A `title` here\n')
            return broken_links(os.path.join(place, 'this.md'), text)

    def test_files_and_headings_are_looked_for(self):
        self.assertEqual(self.broken('[a](other.md) [b](other.md#a-title-here)'), [])
        self.assertEqual(self.broken('[a](none.md) [b](other.md#none)'),
                         ['none.md', 'other.md#none'])

    def test_a_link_that_leads_nowhere_is_named(self):
        for link in ('[a](none.md "A title")', '[a]( none.md )', '[a][b]', '[b]: none.md',
                     '<a href="none.md">', '[a](/etc/passwd)'):
            self.assertEqual(len(self.broken(link)), 1, link)
        for link in ('../../../etc/passwd', '../../build/tests'):
            self.assertEqual(broken_links('steps/04-uts/README.md', f'[a]({link})'),
                             [link])

    def test_links_to_other_sites_and_in_code_are_not_followed(self):
        self.assertEqual(self.broken('[a](https://x.example)\n```\n[b](c)\n```\n'), [])


if __name__ == '__main__':
    summed.main()
