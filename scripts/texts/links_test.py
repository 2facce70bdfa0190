#!/usr/bin/python3
"""Tests of where a text's links lead. Ends with a line that sums all."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from texts import links


class Links(unittest.TestCase):
    def broken(self, text):
        with tempfile.TemporaryDirectory() as place:
            with open(os.path.join(place, 'other.md'), 'w', encoding='utf-8') as file:
                file.write('# A `title` here\n')
            return links.broken_links(os.path.join(place, 'this.md'), text)

    def test_files_and_headings_are_looked_for(self):
        self.assertEqual(self.broken('[a](other.md) [b](other.md#a-title-here)'), [])
        self.assertEqual(self.broken('[a](none.md) [b](other.md#none)'),
                         ['none.md', 'other.md#none'])

    def test_a_link_that_leads_nowhere_is_named(self):
        for link in ('[a](none.md "A title")', '[a]( none.md )', '[a][b]', '[b]: none.md',
                     '<a href="none.md">', '[a](/etc/passwd)'):
            self.assertEqual(len(self.broken(link)), 1, link)
        for link in ('../../../etc/passwd', '../../build/tests'):
            self.assertEqual(links.broken_links('steps/04-uts/README.md', f'[a]({link})'),
                             [link])

    def test_links_to_other_sites_and_in_code_are_not_followed(self):
        self.assertEqual(self.broken('[a](https://x.example)\n```\n[b](c)\n```\n'), [])


if __name__ == '__main__':
    os.chdir(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    summed.main()
