#!/usr/bin/python3
"""Tests of the slides. Ends with a line that sums all.

  usage   scripts/talk/slides_test.py [TEST...]    by name, as InTheBrowser.test_the_keyboard
  needs   scripts/setup slides

The page is made first, and tried in Chromium.
"""

import contextlib
import glob
import html
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from talk import browser, deck, slides
from texts import palette, sources, transcript

PAGE = deck.TOP + '/build/slides.html'


def slide(text, head='01, 2 min'):
    return f'<!-- {head} -->\n{text}\n\nNote:\nSay: it.\n'


class Parsing(unittest.TestCase):
    def test_part_minutes_and_notes(self):
        first, second = deck.parse(slide('# One') + '---\n' + slide('## Two', '08, 5 min, half day'))
        self.assertEqual((first.part, first.minutes, first.title, first.notes),
                         ('01', 2, 'One', 'Say: it.'))
        self.assertTrue(first.is_in('talk') and second.is_in('all') and not second.is_in('three'))
        self.assertEqual(deck.minutes([first, second]), {'talk': 2, 'three': 2, 'all': 7})

    def test_a_slide_without_minutes_title_or_notes_is_refused(self):
        for text in ('# One\n\nNote:\nSay: it.\n', slide('no title'), '<!-- 01, 1 min -->\n# One\n'):
            with self.assertRaises(deck.Wrong):
                deck.parse(text)


class Markdown(unittest.TestCase):
    def made(self, text):
        return re.sub(r'\n*(<[^>]*>)\n*', r'\1', deck.to_html(text))

    def test_what_a_slide_is_written_in(self):
        for text, made in (
                ('## A `b` <c>', '<h2>A <code>b</code> &lt;c&gt;</h2>'),
                ('**a** *b*', '<p><strong>a</strong> <em>b</em></p>'),
                ('- a\n+ b\n  c', '<ul><li>a</li><li class="fragment">b\nc</li></ul>'),
                ('1. a\n2. b', '<ol><li>a</li><li>b</li></ol>'),
                ('> a\n> b', '<blockquote>a\nb</blockquote>'),
                ('>+ a', '<blockquote class="fragment">a</blockquote>'),
                ('`*a*`', '<p><code>*a*</code></p>')):
            self.assertEqual(self.made(text), made)

    def test_a_table_with_a_cell_that_waits(self):
        made = self.made('| a | b |\n|---|---|\n| c | + d |')
        self.assertIn('<th>a</th><th>b</th>', made)
        self.assertIn('<td>c</td><td><span class="fragment">d</span></td>', made)


class Filling(unittest.TestCase):
    def test_code_has_the_numbers_of_its_source(self):
        made = deck.code('01: void change_root', '')
        source = sources.read(f'{deck.TOP}/{deck.source_of("01")}').split('\n')
        number = int(re.search(r'data-n="(\d+)"', made)[1])
        self.assertTrue(source[number - 1].startswith('void change_root'))

    def test_what_is_new_is_lit(self):
        made = deck.code('04: const auto flags ... set_host_name(args', 'light: new\n')
        clicks = json.loads(re.search(r'data-light="(.*?)"', made)[1])
        lines = [re.sub('<.*?>', '', line) for line in made.split('class="line"')[1:]]
        self.assertTrue(any('CLONE_NEWUTS' in lines[n] for n in clicks[0]))
        self.assertFalse(any('gate.wait' in lines[n] for n in clicks[0]))

    def test_comments_and_messages_are_for_the_lesson(self):
        lines = ['// Why.', 'check(::a(".", 1),  // There.', '      "a(2): what it does {}",', '      x.y());',
                 'write("0 100000 65536");', 'sys::narrate("b {}", x);']
        self.assertEqual(deck.shortened(list(enumerate(lines))),
                         [(1, 'check(::a(".", 1), …);'), (4, 'write("0 100000 65536");')])

    def test_at_last_all_is_lit(self):
        made = deck.code('01: void change_root', 'light: chroot(\n')
        self.assertEqual(json.loads(re.search(r'data-light="(.*?)"', made)[1]), [[1], [0, 1, 2]])
        self.assertEqual(made.count('fragment'), 1)

    def test_a_line_has_the_colour_of_its_step(self):
        rows = deck.by_step('01 one() | 02 A | 07 B', ['one();', 'A | B', 'no'])
        self.assertEqual([number for number, _ in rows], ['01', '', ''])
        self.assertIn('<b class="layer-01">one();</b>', rows[0][1])
        self.assertIn('<b class="layer-07"><sup>07</sup>B</b>', rows[1][1])

    def test_the_colours_of_main_are_those_of_the_steps_that_brought_the_words(self):
        """The words stand in main.cpp of their step, and not in the step before."""
        text = {step: sources.read(f'{deck.TOP}/{deck.source_of(step)}') for step in deck.STEPS}
        named = re.findall(r'^```cpp 08: .*\nlayers: (.*)$', sources.read(deck.TOP + '/slides/slides.md'), re.M)
        self.assertEqual(len(named), 4)
        for one in ' | '.join(named).split(' | '):
            step, words = one.split(' ', 1)
            before = f'{int(step) - 1:02}'
            self.assertTrue(words in text[step], one)
            self.assertFalse(words in text.get(before, ''), one)

    def test_a_demo_asks_before_it_shows(self):
        for one in deck.read():
            made = deck.to_html(re.sub(r'!\[.*?\]\(.*?\)', '', one.text))
            for figure in re.findall(r'<figure class="demo">.*?</figure>', made, re.S):
                self.assertIn('?</p><figure class="demo">', made, one.title)
                inside = re.search('<pre.*?>(.*)</pre>', figure, re.S)[1]
                self.assertEqual(re.sub(r'<span class="fragment \w+">(<span class="line">.*?</span>)+</span>',
                                        '', inside), '', one.title)

    def test_each_opener_attacks_the_step_before(self):
        for part in list(deck.STEPS)[1:]:
            opener = next(one for one in deck.read() if one.part == part)
            self.assertIn(f'```demo {part}: The hole in step {int(part) - 1:02}', opener.text)
            self.assertRegex(opener.text, '^# .*[?]')
            self.assertIn('\n>+ So: ', opener.text)
            self.assertEqual(deck.rings(part).count(' on"'), int(part))

    def test_a_drawing_comes_in_views_and_parts(self):
        made = deck.drawing('02: pids', '0 0 9 9: nested\nno-number-no-signal\n1 1 9 9: nested\n')
        views = json.loads(html.unescape(re.search(r'data-views="(.*?)"', made)[1]))
        self.assertEqual([len(view['parts']) for view in views], [1, 2, 1])
        self.assertEqual(views[1]['box'], '0 0 9 9')
        self.assertEqual(made.count('fragment'), 2)
        self.assertIn('aria-label="One process, two numbers A square box', made)
        self.assertNotIn('@media', made)

    def test_what_is_gone_stops_the_build(self):
        for fill, what, body in ((deck.code, '01: void no_such', ''), (deck.code, '77: main', ''),
                                 (deck.code, '01: void change_root', 'light: no such words\n'),
                                 (deck.code, '01: void change_root', 'layers: 01 no such words\n'),
                                 (deck.demo, '01: No such heading', 'ask: What?\n'),
                                 (deck.demo, '01: Run it', ''),
                                 (deck.demo, '01: Run it', 'ask: What?\ncut: no such ... exit\n'),
                                 (deck.drawing, '01: no', '0 0 9 9: part'),
                                 (deck.drawing, '02: pids', '0 0 9 9: no-such-part'),
                                 (deck.matrix, '05', 'but: no such row\n'),
                                 (deck.picture, 'text', 'diagrams/no.svg'),
                                 (deck.picture, '', 'diagrams/call.svg')):
            with self.assertRaises((deck.Wrong, sources.Missing)):
                fill(what, body)

    def test_what_is_too_much_for_a_slide_stops_the_build(self):
        self.assertEqual(deck.font(['x'] * 5, 'here'), deck.SIZES[0])
        for lines in (['x'] * 40, ['x' * 1500]):
            with self.assertRaises(deck.Wrong):
                deck.font(lines, 'here')

    def test_the_matrix_shows_what_a_step_changes(self):
        made = deck.matrix('05', 'but: makes a new user\n')
        rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', made)
        self.assertIn('leaves by a second chroot', [name for name, _ in rows])
        for name, cells in rows:
            self.assertEqual(' but"' in cells, name == 'makes a new user namespace')
            self.assertEqual(len(re.findall(r'hits the host|refused|its own', cells)), 2)
        self.assertEqual(made.count('<rect') - 1, len(deck.matrix_rows()) * 8)

    def test_the_whole_matrix_is_a_table_that_can_be_read_aloud(self):
        made = deck.matrix('all', '')
        self.assertEqual(made.count('<caption'), 1)
        self.assertEqual(made.count('scope="row"'), len(deck.matrix_rows()))
        self.assertEqual(made.count('scope="col"'), 8)
        self.assertEqual(len(re.findall(r'>(hits the host|refused|its own)</span></td>', made)),
                         len(deck.matrix_rows()) * 8)


def brightness(colour):
    """Relative luminance, as WCAG 2 defines it."""
    parts = [int(colour[n:n + 2], 16) / 255 for n in (1, 3, 5)]
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one, other):
    low, high = sorted((brightness(one), brightness(other)))
    return (high + 0.05) / (low + 0.05)


class Colours(unittest.TestCase):
    def test_all_can_be_read_in_the_light_and_in_the_dark(self):
        for look in sources.read(deck.TOP + '/slides/palette.css').split(':root[data-look=')[1:]:
            colours = dict(re.findall(r'--([\w-]+): (#\w{6});', look))
            self.assertIn('layer-08', colours)
            cells = {name: colours.pop('cell-' + name) for name in ('hits', 'own', 'no')}
            grounds = {name: colours.pop(name) for name in
                       ('page', 'panel', 'hits-soft', 'own-soft', 'no-soft')}
            del colours['line']
            for name, colour in colours.items():
                for ground in ('page', 'panel', f'{name}-soft'):
                    if ground in grounds:
                        self.assertGreaterEqual(contrast(colour, grounds[ground]), 4.5, f'{name} on {ground}')
            for name, letters in (('hits', '#ffffff'), ('own', '#000000'), ('no', '#000000')):
                self.assertGreaterEqual(contrast(letters, cells[name]), 4.5, name)
            # By brightness alone, for an eye or a printer that does not know red from green.
            for one, other in itertools.combinations(cells.values(), 2):
                self.assertGreaterEqual(contrast(one, other), 2)

    def test_a_layer_has_one_colour_everywhere(self):
        colours = palette.layers()
        self.assertEqual(sorted(colours), sorted(deck.STEPS))
        self.assertEqual(len(set(colours.values())), len(colours))
        for step, name in deck.STEPS.items():
            drawn = sources.read(f'{deck.TOP}/steps/{name}/diagram.svg')
            for other, colour in colours.items():
                self.assertEqual(f'stroke="{colour}"' in drawn, other <= step, f'{other} in {step}')

    def test_the_overviews_have_each_of_their_colours_on_a_dark_page_too(self):
        dark = palette.colours(dark=True)
        for name in deck.STEPS.values():
            drawn = sources.read(f'{deck.TOP}/steps/{name}/diagram.svg')
            rules = re.search(r'<style>@media\(prefers-color-scheme:dark\)\{(.*?)\}</style>', drawn)[1]
            for kind, colour in set(re.findall(r' (fill|stroke)="(?!none|transparent)(.*?)"', drawn)):
                found = re.search(rf'\[{kind}="{colour}"\]\{{{kind}:(.*?)\}}', rules)
                self.assertTrue(found and found[1] in dark.values(), f'{name}: {kind} {colour}')

    def test_a_step_in_a_table_has_its_colour(self):
        self.assertIn('<td class="layer-03">', deck.to_html('| a |\n|---|\n| 03 |'))


class Transcripts(unittest.TestCase):
    TEXT = ('## One\nWhy.\n```console\nhost# a\n```\n```console\nhost# b\n> more\nout\n```\n'
            '## Two\n```console if runc\nhost# c\n```\n')

    def test_the_first_block_below_a_heading_or_all(self):
        typed = lambda *words: [c.typed[0] for c in transcript.below(self.TEXT, *words)]
        self.assertEqual(typed('One'), ['a'])
        self.assertEqual(typed('One', True), ['a', 'b'])
        self.assertEqual(typed('Two'), [])  # It is not for every host.
        self.assertEqual(typed('Two', True), ['c'])
        with self.assertRaises(ValueError):
            typed('Three')

    def test_a_command_as_text(self):
        self.assertEqual(transcript.as_text(transcript.below(self.TEXT, 'One', True)[1]),
                         ['host# b', '> more', 'out'])


PROBLEMS = r'''(() => {
  const slide = Reveal.getCurrentSlide(), bad = [];
  const scale = Reveal.getScale(), frame = slide.getBoundingClientRect();
  if (slide.scrollHeight > 721 || slide.scrollWidth > 1281) bad.push('overflows');
  for (const e of slide.querySelectorAll('h1,h2,p,li,td,th,pre,.line,figcaption,svg,blockquote')) {
    if (e.closest('.notes')) continue;
    const box = e.getBoundingClientRect();
    if (box.width && (box.bottom > frame.bottom + 1 || box.right > frame.right + 1 || box.left < frame.left - 1))
      bad.push(`${e.tagName} is outside: ${e.textContent.slice(0, 40)}`);
    const size = parseFloat(getComputedStyle(e).fontSize);
    const least = e.closest('pre') ? 28 : e.closest('.ask, .delta') ? 30 : 18;
    if (size < least && e.tagName !== 'svg' && e.textContent.trim()) bad.push(`${size}px: ${e.textContent.slice(0, 40)}`);
  }
  for (const e of slide.querySelectorAll('pre'))
    if (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1) bad.push('code overflows');
  for (const low of slide.querySelectorAll('figcaption, .play'))
    for (const e of slide.querySelectorAll('pre, .body > p, blockquote, .drawn'))
      if (e.getBoundingClientRect().bottom > low.getBoundingClientRect().top + 1)
        bad.push(`${low.textContent} lies on ${e.tagName}`);
  const rings = slide.querySelector('.cover')?.getBoundingClientRect();
  for (const e of slide.querySelectorAll('h1, .ask, pre, blockquote')) {
    const range = document.createRange();
    range.selectNodeContents(e);
    for (const box of e.matches('pre') ? [e.getBoundingClientRect()] : range.getClientRects())
      if (rings && box.right > rings.left && box.bottom > rings.top && box.top < rings.bottom)
        bad.push(`the rings lie on ${e.tagName}`);
  }
  for (const e of slide.querySelectorAll('.diagram text')) {
    const letters = parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().a / scale;
    if (letters < 20.5 && getComputedStyle(e).visibility === 'visible' && e.getBoundingClientRect().width)
      bad.push(`${letters}px: ${e.textContent}`);
  }
  for (const e of slide.querySelectorAll('svg:not([aria-label]), img:not([alt])')) bad.push('a picture without text');
  if (slide.querySelector('.demo') && !slide.querySelector('.ask')?.textContent.endsWith('?')) bad.push('no question');
  if (!slide.querySelector('.fragment.visible'))
    for (const e of slide.querySelectorAll('.demo .line'))
      if (getComputedStyle(e).visibility === 'visible') bad.push(`told before it is asked: ${e.textContent}`);
  for (const e of slide.querySelectorAll('img')) if (!e.naturalWidth) bad.push('a picture is missing');
  if (!slide.querySelector('.notes').textContent.trim()) bad.push('no notes');
  return bad;
})()'''


# Sans serif and mono; letters are spaced until mono is as wide as the widest, SF Mono.
FONTS = (('DejaVu Sans', 'DejaVu Sans Mono'), ('Helvetica, Arial', 'Noto Sans Mono'))
MEASURE = """(() => {
  const out = [], size = t => parseFloat(getComputedStyle(t).fontSize);
  for (const svg of document.querySelectorAll('body > svg')) {
    const wide = svg.viewBox.baseVal.width, high = svg.viewBox.baseVal.height;
    const say = what => out.push(svg.getAttribute('class') + ': ' + what);
    const boxes = [...svg.querySelectorAll('text')].filter(t => t.textContent.trim()).map(t => {
      // The letters, not the line: about 0.75 above the base line and 0.22 below it.
      const b = t.getBBox(), y = +t.getAttribute('y'), s = size(t);
      return {t, l: b.x, r: b.x + b.width, o: y - 0.75 * s, u: y + 0.22 * s, text: t.textContent};
    });
    if (!boxes.length) say('no text');
    for (const b of boxes) {
      for (const part of [b.t, ...b.t.querySelectorAll('tspan')])
        if (size(part) < 18) say('too small: ' + part.textContent);
      if (b.l < 16 || b.r > wide - 16 || b.o < 8 || b.u > high - 8) say('cut off: ' + b.text);
      for (const c of boxes)
        if (boxes.indexOf(b) < boxes.indexOf(c) && b.l < c.r && c.l < b.r && b.o < c.u && c.o < b.u)
          say('overlap: ' + b.text + ' / ' + c.text);
      for (const r of svg.querySelectorAll('rect:not(.tint):not(.bg)')) {
        const q = r.getBBox(), x = (b.l + b.r) / 2, y = (b.o + b.u) / 2;
        const right = q.x + q.width, below = q.y + q.height;
        if (x > q.x && x < right && y > q.y && y < below) {
          if (b.l < q.x + 4 || b.r > right - 4 || b.o < q.y + 1 || b.u > below - 1)
            say('leaves its box: ' + b.text);
        } else if (b.r > q.x + 1 && b.l < right - 1 && b.o < below - 1 && b.u > q.y + 1 &&
                   !(b.l > q.x && b.r < right) && !(b.l < q.x && b.r > right))
          say('runs into a box: ' + b.text);
      }
      // Two units of air. A disc lies on its line; what is struck out is crossed by one that says so.
      if ([...svg.querySelectorAll('circle')].some(c => c.isPointInFill(
          new DOMPoint((b.l + b.r) / 2, (b.o + b.u) / 2)))) continue;
      for (const p of svg.querySelectorAll('path:not(.strike):not(marker path)'))
        for (let at = 0, long = p.getTotalLength(); at <= long; at += 2) {
          const {x, y} = p.getPointAtLength(at);
          if (x > b.l - 2 && x < b.r + 2 && y > b.o - 1 && y < b.u + 1) {
            say('a line crosses: ' + b.text);
            break;
          }
        }
    }
  }
  return out;
})()"""


def measured(svgs):
    """The faults that a browser measures in drawings, which are given as text, for each pair of
    fonts."""
    found = []
    for sans, mono in FONTS:
        with tempfile.NamedTemporaryFile('w', suffix='.html', encoding='utf-8') as file:
            file.write('<!doctype html><meta charset=utf-8><style>body > svg{display:block}'
                       f'svg{{font-family:{sans},sans-serif!important}} '
                       f'svg .m{{font-family:{mono},monospace!important;'
                       'letter-spacing:.018em}</style><body data-ready=1>' + '\n'.join(svgs))
            file.flush()
            with browser.Page(browser.address(file.name), 720, 1000) as page:
                page.until('document.fonts.status == "loaded"')
                if page.js('document.querySelectorAll("body > svg").length') != len(svgs):
                    raise browser.Failure('not every drawing is a picture')
                found += [f'{what} ({sans})' for what in page.js(MEASURE)]
                found += page.complaints()
    return found


class Drawings(unittest.TestCase):
    """What they say is tested by scripts/texts/drawings_test.py, without a browser."""

    def test_their_text_has_room(self):
        paths = set(glob.glob(deck.TOP + '/steps/*/*.svg')) - {
            path for name in ('diagram', 'recording')
            for path in glob.glob(f'{deck.TOP}/steps/*/{name}.svg')}
        self.assertGreater(len(paths), 8)
        self.assertEqual(measured([sources.read(path) for path in sorted(paths)]), [])

    def test_text_without_room_is_found(self):
        wrong = {'<text x="660" y="54">too far</text>': 'cut off: too far',
                 '<text x="32" y="198">too low</text>': 'cut off: too low',
                 '<text x="40" y="112">over</text>': 'overlap: over / word',
                 '<text x="32" y="54"><tspan style="font-size:17px">small</tspan></text>': 'too small: small',
                 '<text x="320" y="112">a long line</text>': 'leaves its box: a long line',
                 '<text x="220" y="112">from outside</text>': 'runs into a box: from outside',
                 '<path d="M10 106h90"/><circle cx="500" cy="50" r="9"/>': 'a line crosses: word',
                 '<path class="strike" d="M10 106h90"/>': '',
                 '<path d="M50 106h90"/><circle cx="55" cy="106" r="40"/>': '',
                 '': ''}
        sheets = [f'<svg xmlns="http://www.w3.org/2000/svg" class="{number}" viewBox="0 0 720 200" '
                  f'width="720" height="200" font-size="20">{text}<text x="32" y="112">word</text>'
                  '<rect x="310" y="90" width="80" height="36" fill="none"/></svg>'
                  for number, text in enumerate(wrong)]
        found = [what.rpartition(' (')[0] for what in measured(sheets)]
        self.assertEqual(found, 2 * [f'{number}: {what}' for number, what in enumerate(wrong.values())
                                     if what])


class Browser(unittest.TestCase):
    PAGE = 'data:text/html,<body data-ready=1><script>%s</script>'

    def test_what_a_page_complains_about(self):
        with browser.Page(self.PAGE % 'console.warn("a"); setTimeout(() => { throw Error("b") })') as page:
            self.assertEqual(page.complaints(), ['logs: a', 'throws: b'])
        with browser.Page(self.PAGE % 'new Image().src = "http://127.0.0.1:9/"') as page:
            self.assertIn('asks for http://127.0.0.1:9/', page.complaints())

    def test_an_error_has_its_words_and_nothing_is_left(self):
        for code, words in (('throw Error("mine")', 'mine'), ('await page.evaluate("no()")', 'no is not'),
                            ('browser.process().kill("SIGKILL"); await page.title()', 'closed'),
                            ('process.exit(1)', 'has ended')):
            with self.assertRaisesRegex(browser.Failure, words), browser.Page(self.PAGE % '') as page:
                page.run(code)
            self.assertIsNotNone(page.process.returncode)
            self.assertFalse(os.path.exists(page.home))
            while subprocess.run(['pgrep', '-f', page.home], check=False,
                                 stdout=subprocess.DEVNULL).returncode == 0:
                time.sleep(0.1)  # Chromium notices a moment later that nobody drives it.

    def test_without_a_chromium_that_runs(self):
        with unittest.mock.patch('talk.browser.program', lambda: '/bin/false'):
            with self.assertRaisesRegex(browser.Failure, 'has ended: '):
                browser.Page(self.PAGE % '')


class Sheets(unittest.TestCase):
    def test_helpers_have_five_errors_of_each_step_that_are_known_and_a_hint_to_give(self):
        known = {tuple(line.split('|')[:2]) for line in
                 sources.read(deck.TOP + '/scripts/ci/mistakes.txt').split('\n') if '|' in line}
        rows = re.findall(r'^\| (\d\d) \| (.*?) \| .*? \| \*(.*?)\*: ',
                          sources.read(deck.TOP + '/slides/helpers.md'), re.M)
        self.assertEqual([step for step, _, _ in rows], [step for step in deck.STEPS for _ in range(5)])
        for step, error, piece in rows:
            folder = deck.STEPS[step]
            self.assertTrue((folder, error) in known or error == 'no sudo', error)
            self.assertIn(f'\n## {piece}\n', sources.read(f'{deck.TOP}/steps/{folder}/task.md'), error)

    def test_the_sheets_name_commands_that_there_are(self):
        makefile = sources.read(deck.TOP + '/Makefile')
        text = ''.join(sources.read(f'{deck.TOP}/slides/{name}.md') for name in ('sheet', 'helpers', 'slides'))
        for command in set(re.findall(r'`make ([a-z-]+?)(?:-?(?:0\d|NN))?(?: [^`]*)?`', text)):
            self.assertRegex(makefile, rf'(?m)^.*\b{command}\b', command)


@unittest.skipIf(os.geteuid() != 0, 'it takes root')
class Kit(unittest.TestCase):
    def on_the_stick(self, home, command):
        return subprocess.run(
            ['unshare', '--net', 'env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'sh', '-ec', command],
            cwd=home, check=False, capture_output=True, text=True)

    def test_what_is_on_the_stick_runs_without_a_network_and_a_compiler(self):
        with tempfile.TemporaryDirectory(prefix='kit.') as home:
            with unittest.mock.patch.object(slides, 'KIT', ['slides.html']), \
                    contextlib.redirect_stdout(io.StringIO()):
                slides.kit(home + '/kit')
            said = self.on_the_stick(
                home, 'cd kit; sha256sum --quiet -c SHA256SUMS; tar xf containers.tar.gz; '
                'tar xf programs-$(uname -m).tar.gz; cd containers; ls Makefile steps/01-chroot/main.cpp; '
                'build/08-all --net none build/rootfs id -u')
            self.assertEqual((said.stdout, said.returncode), ('Makefile\nsteps/01-chroot/main.cpp\n0\n', 0), said)
            # In the head of an ELF file, 183 is the number of arm64, and 62 that of x86-64.
            for machine, number in zip(slides.MACHINES, (62, 183)):
                packed = f'{home}/kit/programs-{machine}.tar.gz'
                self.assertEqual(os.path.exists(packed), machine == os.uname().machine or
                                 shutil.which(f'{machine}-linux-gnu-g++') is not None)
                if os.path.exists(packed):
                    said = self.on_the_stick(home, f'mkdir {machine}; cd {machine}; tar xf {packed}; '
                                             'od -An -tu2 -j18 -N2 containers/build/03-userns')
                    self.assertEqual(said.stdout.split(), [str(number)], said)
            self.assertTrue(os.path.exists(home + '/kit/include/fmt/core.h'))
            packages = sources.read(home + '/kit/packages.txt')
            self.assertEqual(re.findall(r'(?m)^(\w+): ', packages), list(slides.MANAGERS))


class InTheBrowser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        subprocess.run([deck.TOP + '/scripts/slides', 'build'], check=True, stdout=subprocess.DEVNULL)

    def walk(self, query, width, height):
        """Every slide after every click, until the last."""
        with browser.Page(browser.address(PAGE, query), width, height) as page:
            views, bad = 1, set()
            while True:
                where = page.js("Reveal.getIndices().h + 1 + ' ' + "
                                "Reveal.getCurrentSlide().querySelector('h1,h2').textContent")
                bad |= {f'{where}: {what}' for what in page.js(PROBLEMS)}
                if page.js('Reveal.isLastSlide() && !Reveal.availableFragments().next'):
                    break
                page.js('Reveal.next()')
                views += 1
            bad |= set(page.complaints())
            return views, sorted(bad)

    def test_every_view_fits_at_both_sizes(self):
        for width, height in ((1280, 720), (1920, 1080)):
            views, bad = self.walk('?all', width, height)
            self.assertGreater(views, len(deck.read()))
            self.assertEqual(bad, [])

    def test_in_the_dark(self):
        self.assertEqual(self.walk('?look=dark', 1280, 720)[1], [])

    def test_each_plan_has_its_slides(self):
        for plan in deck.PLANS:
            with browser.Page(browser.address(PAGE, '?' + plan)) as page:
                self.assertEqual(page.js('Reveal.getTotalSlides()'),
                                 sum(one.is_in(plan) for one in deck.read()))

    def test_code_that_waits_can_be_read_from_the_pixels(self):
        """Every word of code at every click, as it is on the screen: 4.5 to its background."""
        for look in ('light', 'dark'):
            with browser.Page(browser.address(PAGE, '?all&look=' + look)) as page:
                slides = page.js("[...document.querySelectorAll('.slides > section')].map((e, n) => "
                                 "e.querySelector('.code') ? n : -1).filter(n => n >= 0)")
                self.assertGreater(len(slides), 12)
                for number in slides:
                    page.js(f'Reveal.slide({number}, 0, -1)')
                    code = 'Reveal.getCurrentSlide().querySelector(".code")'
                    self.assertEqual(page.unreadable(code, 6), [], f'{look}, {number + 1}')

    def test_at_the_last_click_all_code_is_lit(self):
        with browser.Page(browser.address(PAGE, '?all')) as page:
            for number in range(page.js('Reveal.getTotalSlides()')):
                page.js(f'Reveal.slide({number}, 0, 99)')
                self.assertEqual(page.js("Reveal.getCurrentSlide().querySelectorAll('.dim .line:not(.lit)').length"), 0)

    def test_the_keyboard(self):
        with browser.Page(browser.address(PAGE)) as page:
            page.press(' ')
            self.assertEqual(page.js('Reveal.getIndices().h'), 1)
            page.press('ArrowLeft')
            self.assertEqual(page.js('Reveal.getIndices().h'), 0)
            look = page.js('document.documentElement.dataset.look')
            page.press('t')
            self.assertNotEqual(page.js('document.documentElement.dataset.look'), look)
            number = page.js("[...document.querySelectorAll('.slides > section')]"
                             ".findIndex(e => e.querySelector('.play'))")
            page.js(f'Reveal.slide({number})')
            page.press('v')
            page.until("document.querySelector('.player .ap-term, .player .ap-terminal')")
            page.until("document.querySelector('.player').textContent.includes('container')")
            page.press('v')
            self.assertFalse(page.js("!!document.querySelector('.player')"))
            self.assertEqual(page.complaints(), [])

    def test_a_rehearsal_counts_the_minutes_of_each_part(self):
        with browser.Page(browser.address(PAGE, '?three&rehearse')) as page:
            page.js("looked.since -= 90000")  # As if the cover had been shown for so long.
            page.press('ArrowRight')
            page.press('m')
            said = page.js("document.querySelector('.minutes').textContent")
            rows = {row.split()[0]: row.split()[1:] for row in said.split('\n')}
            self.assertEqual(list(rows), ['part', 'intro', *deck.STEPS, 'end', 'all'])
            self.assertEqual(float(rows['all'][0]), deck.minutes(deck.read())['three'])
            self.assertEqual((rows['intro'][1], rows['01'][1], rows['all'][1]), ('1.5', '0.0', '1.5'))
            page.press('m')
            self.assertFalse(page.js("!!document.querySelector('.minutes')"))
            self.assertEqual(page.complaints(), [])

    def test_the_speaker_view(self):
        with browser.Page(browser.address(PAGE)) as page:
            page.run('''const opened = new Promise(done => page.once("popup", done));
                        await page.evaluate('Reveal.getPlugin("notes").open()');
                        page = await opened''')
            page.until("document.querySelector('.speaker-controls-notes .value') && "
                       "document.querySelector('.speaker-controls-notes .value').textContent.length > 20")
            self.assertEqual(page.js("document.querySelectorAll('iframe').length"), 2)

    def test_the_light_follows_the_clicks(self):
        with browser.Page(browser.address(PAGE)) as page:
            number = page.js("[...document.querySelectorAll('.slides > section')]"
                             ".findIndex(e => e.querySelectorAll('.light').length)")
            page.js(f'Reveal.slide({number})')
            lit = "[...Reveal.getCurrentSlide().querySelectorAll('.lit')].map(e => e.dataset.n).join()"
            first = page.js(lit)
            page.js('Reveal.next()')
            self.assertTrue(first)
            self.assertNotEqual(page.js(lit), first)
            self.assertEqual(page.js('Reveal.getIndices().h'), number)

    def test_diagrams_appear_in_their_order(self):
        """Each click shows what has its number, or takes it away, and nothing before its click."""
        with browser.Page(browser.address(PAGE, '?all')) as page:
            slides = page.js("[...document.querySelectorAll('.slides > section')].map((e, n) => "
                             "e.querySelector('.diagram .fragment') ? n : -1).filter(n => n >= 0)")
            self.assertGreater(len(slides), 3)
            for number in slides:
                page.js(f'Reveal.slide({number}, 0, -1)')
                clicks = page.js("Math.max(...[...Reveal.getCurrentSlide().querySelectorAll('.fragment')]"
                                 ".map(e => +e.dataset.fragmentIndex)) + 1")
                seen = []
                for _ in range(clicks + 1):
                    seen.append(page.js("[...Reveal.getCurrentSlide().querySelectorAll('.fragment')]"
                                        ".filter(e => (getComputedStyle(e).visibility === 'visible')"
                                        " !== e.matches('.fade-out')).length"))
                    page.js('Reveal.next()')
                self.assertEqual(seen[0], 0, number)
                self.assertEqual(seen, sorted(set(seen)), number)

    def test_drawings_move_with_each_click(self):
        shown = "(s => s.getAttribute('viewBox') + [...s.querySelectorAll('g[id]')].filter(g => " \
                "g.getBoundingClientRect().width).map(g => g.id))(Reveal.getCurrentSlide().querySelector('.drawn svg'))"
        with browser.Page(browser.address(PAGE)) as page:
            slides = page.js("[...document.querySelectorAll('.slides > section')].map((e, n) => "
                             "e.querySelector('.drawn') ? n : -1).filter(n => n >= 0)")
            self.assertGreater(len(slides), 8)
            for number in slides:
                page.js(f'Reveal.slide({number}, 0, -1)')
                seen = [page.js(shown)]
                while page.js('Reveal.availableFragments().next'):
                    page.js('Reveal.nextFragment()')
                    seen.append(page.js(shown))
                self.assertGreater(len(seen), 1, number)
                self.assertEqual(len(set(seen)), len(seen), number)

    def test_a_reload_stays_on_its_slide(self):
        title = "Reveal.getCurrentSlide().querySelector('h1, h2').textContent"
        with browser.Page(browser.address(PAGE)) as page:
            page.js('Reveal.slide(30)')
            page.until("!['', '#/slide-1'].includes(location.hash)")  # A moment later.
            before, place = page.js(title), page.js('location.hash')
        for query in ('', '?all'):  # The same, with others in between.
            with browser.Page(browser.address(PAGE, query + place)) as page:
                self.assertEqual(page.js(title), before)

    def test_every_demo_has_a_recording_and_its_text(self):
        with browser.Page(browser.address(PAGE)) as page:
            self.assertEqual(page.js("""[...document.querySelectorAll('.play')].map(e => [e.dataset.cast,
                CASTS[e.dataset.cast].split('\\n').length > 20,
                e.closest('section').querySelector('.demo pre').textContent.length > 80])"""),
                             [[step, True, True] for step in deck.STEPS])

    def test_on_a_phone(self):
        with browser.Page(browser.address(PAGE, '?all'), 390, 844) as page:
            # What scrolls by itself may be wider than the phone, but not the page.
            self.assertEqual(page.js("""[...document.querySelectorAll('.slides section')].filter(e => {
                const box = e.getBoundingClientRect();
                return box.left < -1 || box.right > innerWidth + 1 || box.width < 350 || box.height < 100;
              }).length"""), 0)
            self.assertTrue(page.js('document.documentElement.scrollWidth <= innerWidth'))
            self.assertEqual(page.js("""[...document.querySelectorAll('h1,h2,p,li,td,th,.line,figcaption')]
                .filter(e => e.offsetParent && e.textContent.trim() && parseFloat(getComputedStyle(e).fontSize) < 12)
                .map(e => e.textContent.slice(0, 40))"""), [])
            self.assertEqual(page.js("""[...document.querySelectorAll('.fragment:not(.light)')].filter(e =>
                (getComputedStyle(e).visibility === 'visible') === e.matches('.fade-out')).length"""), 0)
            page.js("document.querySelector('.play').click()")
            page.until("document.querySelector('.player').textContent.includes('container')")
            self.assertEqual(page.complaints(), [])

    def test_what_is_printed_has_all_pages(self):
        number = sum(one.is_in('talk') for one in deck.read())
        for kind, pages in (('slides', number), ('notes', (number + 1) // 2), *dict.fromkeys(deck.SHEETS, 2).items()):
            self.assertEqual(browser.pages(slides.printed(kind)), pages, kind)
        for plan in ('talk', 'three'):
            self.assertIn(browser.pages(slides.printed('handout', plan)), range(6, 13), plan)

    def test_each_printed_slide_has_its_number_and_the_hand_out_no_answer(self):
        for kind in ('slides', 'notes', 'handout'):
            with browser.Page(browser.address(PAGE, '?print=' + kind), 794, 1123) as page:
                self.assertEqual(page.js("""[...document.querySelectorAll('section')].map((e, n) =>
                    getComputedStyle(e, '::after').content === `"${n + 1}"`).includes(false)"""), False)
                told = page.js("""[...document.querySelectorAll('.demo, .delta, .matrix, blockquote.fragment')]
                    .filter(e => e.getClientRects().length).length""")
                self.assertEqual(told == 0, kind == 'handout')

    def test_the_notes_are_on_paper_and_fit(self):
        with browser.Page(browser.address(PAGE, '?print=notes'), 794, 1123) as page:
            self.assertEqual(page.js("""[...document.querySelectorAll('article')].filter(e => {
                const notes = e.querySelector('.notes');
                return !notes.offsetHeight || e.scrollHeight > e.clientHeight + 1 ||
                  parseFloat(getComputedStyle(notes).fontSize) < 13;
              }).map(e => e.textContent.slice(0, 60))"""), [])

    def test_the_policy_forbids_the_network(self):
        with browser.Page(browser.address(PAGE)) as page:
            self.assertTrue(page.js("fetch('http://127.0.0.1:9/').then(() => false, () => true)"))
            self.assertIn('Content Security Policy', ' '.join(page.complaints()))


summed.main()
