#!/usr/bin/python3
"""Tests of the pages of the course, read as text: no browser is needed, and nothing of npm's. Ends
with a line that sums all."""

import html.parser
import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from course import pages
from talk import deck
from texts import palette, sources, transcript

NO_END = {'meta', 'link', 'input', 'br', 'img', 'hr'}
# Of two colours: what is read on what.
COLOUR = re.compile(r'(?<![&(])#[0-9a-f]{3,6}\b(?![^<>]*</desc>)')
READ = [(text, ground) for ground in ('page', 'panel') for text in
        ('text', 'quiet', 'hits', 'own', 'kernel', 'comment', 'string', 'word', 'ours',
         *(f'layer-{step}' for step in deck.STEPS))]


class Read(html.parser.HTMLParser):
    """A page, as what is looked for: tags with their attributes, and the text in some of them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.texts, self.wrong = [], [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in NO_END:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append('')

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f'</{tag}> at {self.getpos()}')

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts[tag][-1] += data

    def ids(self):
        return [attrs['id'] for _, attrs in self.tags if 'id' in attrs]

    def number(self, tag, **wanted):
        return sum(tag == name and wanted.items() <= attrs.items() for name, attrs in self.tags)


def luminance(colour):
    parts = [int(colour[at:at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
              for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = pages.all_pages()
        cls.pages = {name: Read(pages.whole(path)) for name, path in cls.files.items()}
        cls.texts = {name: pages.read(path) for name, path in cls.files.items() if pages.read(path)}

    def test_each_text_of_the_course_has_a_page(self):
        for path in [*pages.COURSE, 'steps/glossary.md', 'steps/matrix.md', 'steps/hosts.md']:
            self.assertEqual(self.files[pages.page_of(path)], path)
        self.assertEqual(len(pages.LESSONS), 8)

    def test_a_page_of_the_course_is_made_without_the_others(self):
        for made in (pages.read, pages.all_pages):
            made.cache_clear()
        self.assertTrue(pages.file('02-pidns.html'))
        self.assertEqual((pages.read.cache_info().currsize, pages.all_pages.cache_info().currsize),
                         (1, 0))

    def test_two_files_never_have_one_page(self):
        for text in self.texts.values():
            for path in text.leads_to:
                self.assertEqual(self.files[pages.page_of(path)], path)

    def test_each_element_is_closed_and_each_id_is_there_once(self):
        for name, page in self.pages.items():
            self.assertEqual(page.wrong + page.open, [], name)
            ids = page.ids()
            self.assertEqual(sorted(set(ids)), sorted(ids), name)

    def test_each_link_leads_to_a_place_in_the_book(self):
        for name, page in self.pages.items():
            for tag, attrs in page.tags:
                link = attrs.get('href') or attrs.get('src') or ''
                if tag not in ('a', 'link', 'script') or re.match(r'https://|data:|$', link):
                    continue
                to, _, place = link.partition('#')
                to = to or name
                self.assertIn(to, {*self.files, *pages.BOOK}, link)
                if place:
                    self.assertIn(place, self.pages[to].ids(), link)

    def test_nothing_is_fetched_from_elsewhere(self):
        for name, page in self.pages.items():
            for tag, attrs in page.tags:
                if tag != 'a':
                    self.assertNotRegex(' '.join(filter(None, attrs.values())),
                                        r'https?://(?!www\.w3\.org)')

    def test_each_command_and_each_output_of_a_text_is_on_its_page(self):
        for path in [*pages.LESSONS, 'steps/README.md', 'steps/docker.md']:
            commands = transcript.parse(sources.read(path)).commands
            page = self.pages[pages.page_of(path)]
            self.assertTrue(commands)
            self.assertEqual(page.texts['kbd'], [line for one in commands for line in one.typed])
            self.assertEqual([line.replace('\xa0', '') for line in page.texts['samp']],
                             [line for one in commands for line in one.expected])

    def test_what_is_typed_stands_apart_from_what_is_printed_where_there_is_no_transcript(self):
        page = self.pages['index.html']
        self.assertIn('make run </dev/null', page.texts['kbd'])
        self.assertIn('uid=0(root) gid=0(root)', page.texts['samp'])

    def test_the_code_is_the_texts_and_says_where_it_stands(self):
        page = self.pages['02-pidns.html']
        code = next(text for text in page.texts['pre'] if 'void mount_proc' in text)
        self.assertIn('::mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,', code)
        source = sources.read('steps/02-pidns/main.cpp').split('\n')
        first = sources.place(source, 'void mount_proc')[0] + 1
        self.assertIn(f'steps/02-pidns/main.cpp:{first}', page.texts['figcaption'])

    def test_no_comment_and_no_mark_of_markdown_is_left(self):
        for name, text in self.texts.items():
            page = self.pages[name]
            self.assertNotIn('<!--', text.html)
            self.assertEqual(page.number('details'), sources.read(text.path).count('<details>'))
            self.assertNotRegex('\n'.join(page.texts.get('p', [])), r'\*\*|\]\(|```')

    def test_each_drawing_has_a_description_and_only_colours_of_the_page(self):
        seen = 0
        known = set(palette.colours())
        for name, page in self.pages.items():
            seen += page.number('svg')
            self.assertEqual(page.number('svg', role='img'), page.number('svg'))
        for page in self.texts.values():
            for text in re.findall(r'<svg.*?</svg>', page.html, re.S):
                self.assertRegex(text, r'<svg[^>]* aria-label(ledby)?="')
                self.assertEqual(COLOUR.findall(text), [])
                self.assertEqual(set(re.findall(r'var\(--([\w-]+)\)', text)) - known, set())
        self.assertGreater(seen, 17)

    def test_landmarks_and_headings(self):
        for name, page in self.pages.items():
            for tag in ('main', 'header', 'h1', 'article'):
                self.assertEqual(page.number(tag), 1, tag)
            levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r'h\d', tag)]
            self.assertTrue(all(after <= before + 1 for before, after in zip(levels, levels[1:])),
                            levels)
            for tag, attrs in page.tags:
                if tag == 'nav':
                    self.assertIn('aria-label', attrs)
            here = self.files[name] in pages.COURSE
            self.assertEqual(page.number('a', **{'aria-current': 'page'}), int(here))

    def test_one_goes_from_page_to_page_through_the_whole_course(self):
        name, way = 'index.html', []
        while name:
            way.append(self.files[name])
            following, before = ([attrs['href'] for _, attrs in self.pages[name].tags
                                  if attrs.get('rel') == rel] for rel in ('next', 'prev'))
            self.assertEqual(before, [pages.page_of(path) for path in way[-2:-1]])
            name = following[0] if following else ''
        self.assertEqual(way, pages.COURSE)

    def test_each_lesson_has_its_recording(self):
        for path in [*pages.LESSONS, 'README.md']:
            page = self.pages[pages.page_of(path)]
            self.assertEqual(page.number('div', id='player'), 1, path)
            facts = next(text for text in page.texts['script'] if text.startswith('{'))
            self.assertIn('"version": 2', json.loads(facts)['cast'])

    def test_the_search_has_all_sections(self):
        index = json.loads(pages.index().removeprefix('found(').removesuffix(');'))
        headings = {heading for *_, heading, _ in index}
        for path in pages.COURSE:
            for token in re.findall(r'^## (.*)$', sources.read(path), re.M):
                self.assertIn(token.replace('`', ''), headings)
        self.assertTrue(any(to.startswith('02-pidns.html#') and 'kill 4102' in text
                            for to, *_, text in index))

    def test_all_colours_can_be_read(self):
        for dark in (False, True):
            colours = palette.colours(dark)
            for text, ground in READ:
                self.assertGreaterEqual(contrast(colours[text], colours[ground]), 4.5,
                                        f'{text} on {ground}')
        self.assertLess(contrast('#c9d1d9', '#ffffff'), 4.5)

    def test_the_theme_has_what_the_style_sheet_uses(self):
        style = pages.file('course.css')
        made = set(re.findall(r'--([\w-]+):', pages.file('palette.css') + style))
        self.assertEqual(set(re.findall(r'var\(--([\w-]+)\)', style)) - made, set())


if __name__ == '__main__':
    os.chdir(pages.TOP)
    summed.main()
