#!/usr/bin/python3
"""Checks the drawings of the lessons, which are all steps/*/*.svg that were placed by hand.

  usage   scripts/texts/drawings.py [FILE.svg...]             read them, no browser is needed
          scripts/texts/drawings.py --measure [FILE.svg...]   and measure their text in Chromium

A drawing explains one idea of its lesson, and its title names this idea. The first command finds
words that differ from the lesson or from the code. It also finds what readers would miss in dark
mode, with a screen reader or without a network. Measuring finds text that is cut off, overlaps,
leaves its box, is crossed by a line or is too small, in a wide and in a narrow font. No command sees
whether arrows cross, so look at each drawing at 720 and at 360 pixels, in light and in dark mode.
The rules:

- The sheet is 720 wide, with a margin of 32; time runs downwards, or is numbered with discs.
- Text is 20 units high, 18 at least. Only what is typed or what the kernel prints is in `m`.
- The host is grey with square corners. The container has the colour of the layer and round corners.
  What is refused or gone is red. Colour is never the only sign, so what is gone is struck out (a path
  of the class `strike`), and a blocked way ends in a bar.
- Arrows run straight and end at their object. A solid arrow moves, a dashed line is a copy or
  missing, and a dotted line connects what belongs together.
- All words and numbers are in the lesson, and `desc` repeats the numbers.
"""

import errno
import glob
import html
import os
import re
import sys
import tempfile
import xml.etree.ElementTree

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from talk import browser
from texts import palette, sources

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OTHERS = {'diagram.svg', 'recording.svg'}  # The eight overviews, and what programs make.
SVG = '{http://www.w3.org/2000/svg}'
COLOUR = re.compile(r'#[0-9a-f]{3,8}\b', re.I)
DARK = re.compile(r'@media \(prefers-color-scheme:dark\)\{(.*?)\n\}', re.S)
# Sans serif and mono; letters are spaced until mono is as wide as the widest, SF Mono.
FONTS = (('DejaVu Sans', 'DejaVu Sans Mono'), ('Helvetica, Arial', 'Noto Sans Mono'))
SMALLEST = 18


def paths():
    return sorted(path for path in glob.glob(TOP + '/steps/*/*.svg')
                  if os.path.basename(path) not in OTHERS)


def prefix_of(path):
    """The prefix of its ids and classes, so that one page can contain several drawings."""
    step, name = os.path.basename(os.path.dirname(path))[:2], os.path.basename(path)[:-4]
    return f'd{step}-{name}'


# ---- The text of a drawing ---------------------------------------------------

def without(text, name):
    """The lesson without the line that shows the drawing, because this line proves nothing."""
    return re.sub(rf'^ *!\[[^\]]*\]\({re.escape(name)}\)$', '', text, flags=re.M)


def shown_by(path):
    """The texts whose words a drawing can use, which are its lesson and the code of its step. A
    drawing of 08 can use all lessons."""
    folder, name = os.path.split(path)
    lessons = sorted(glob.glob(TOP + '/steps/0*/README.md'))
    own = lessons if '/08-' in folder else [folder + '/README.md']
    text = '\n'.join(without(sources.read(lesson), name) for lesson in own)
    return text + '\n'.join(sources.read(file) for file in sorted(glob.glob(folder + '/*.cpp')))


def computed(text):
    """The numbers that follow from an id map, which are its last id and the id for 1000."""
    found = re.search(r'"0 (\d{6}) (\d+)"', text)
    if not found:
        return set()
    first, count = int(found[1]), int(found[2])
    return {str(number) for number in (first + 1000, first + count - 1, count - 1)}


def has(text, word):
    return re.search(rf'(?<!\w){re.escape(word)}(?!\w)', text)


def known(word, text):
    """Whether the lesson or the code has a word, the parts of a path, or the message for an
    errno."""
    if has(text, word) or word in computed(text):
        return True
    if word in errno.errorcode.values():
        return os.strerror(getattr(errno, word)) in text
    parts = [part for part in word.split('/') if part]
    return len(parts) > 1 and all(has(text, part) for part in parts)


def written(root):
    """The pieces of text in a drawing, each with whether its font is mono."""
    pieces = []

    def walk(element, mono):
        mono = mono or 'm' in element.get('class', '').split()
        pieces.append((element.text or '', mono))
        for child in element:
            walk(child, mono)
            pieces.append((child.tail or '', mono))
    for element in root.iter(SVG + 'text'):
        walk(element, False)
        pieces.append(('\n', False))
    return [(text, mono) for text, mono in pieces if text]


def words_of(root):
    """The words that the lesson must have, which are all words in mono and all numbers of three
    digits."""
    words = set()
    for text, mono in written(root):
        if mono:
            words |= set(re.findall(r'[\w/-][\w./-]*\w|\w', text))
        else:
            words |= set(re.findall(r'(?<!\w)\d[\d.]*\d{2}(?!\w)', text))
    return words


# ---- Reading ----------------------------------------------------------------

def faults(path, svg=None, text=None, lesson=None):
    """The faults of a drawing, as sentences. Reads its text, the texts whose words it can use, and
    its lesson, unless the caller passes them."""
    svg = sources.read(path) if svg is None else svg
    text = shown_by(path) if text is None else text
    lesson = sources.read(os.path.dirname(path) + '/README.md') if lesson is None else lesson
    try:
        root = xml.etree.ElementTree.fromstring(svg)
    except xml.etree.ElementTree.ParseError as error:
        return [f'not XML: {error}']
    return [*shape(path, svg, root), *style(path, svg), *content(path, root, text, lesson)]


def shape(path, svg, root):
    prefix = prefix_of(path)
    if root.get('class') != prefix:
        yield f'its class is not {prefix}'
    if root.get('role') != 'img':
        yield 'its role is not img'
    if root.get('aria-labelledby') != f'{prefix}-title {prefix}-desc':
        yield 'aria-labelledby does not name its title and its desc'
    for name in ('title', 'desc'):
        element = root.find(SVG + name)
        if element is None or element.get('id') != f'{prefix}-{name}' or \
                len((element.text or '').split()) < {'title': 3, 'desc': 20}[name]:
            yield f'no {name} that says what it shows'
    box = re.fullmatch(r'0 0 (\d+) (\d+)', root.get('viewBox', ''))
    if not box or (root.get('width'), root.get('height'), box[1]) != ('720', box[2], '720'):
        yield 'it is not a sheet of 720 by its height'
    ids = [element.get('id') for element in root.iter() if element.get('id')]
    for name in sorted(set(ids)):
        if not name.startswith(prefix + '-'):
            yield f'the id {name} does not begin with {prefix}-'
        if ids.count(name) > 1:
            yield f'two parts have the id {name}'
    for name in re.findall(r'url\(\s*["\']?#?([^)"\']*)', svg):
        if name not in ids:
            yield f'it needs {name}, which it does not have'
    for element in root.iter():
        kind = element.tag.replace(SVG, '')
        if kind in ('script', 'image', 'foreignObject', 'use', 'a', 'animate', 'set') or \
                any('href' in key or key.startswith('on') for key in element.attrib):
            yield f'a {kind} that may load or run something'
    if re.search(r'<!DOCTYPE|<\?xml-stylesheet|@import|@font-face', svg):
        yield 'it loads something from elsewhere'


def style(path, svg):
    prefix, step = prefix_of(path), os.path.basename(os.path.dirname(path))[:2]
    sheet = ''.join(re.findall(r'<style>(.*?)</style>', svg, re.S))
    dark = ''.join(DARK.findall(sheet))
    light = DARK.sub('', sheet)
    for look, part in ((False, light), (True, dark)):
        allowed = palette.colours(look)
        accent = allowed[f'layer-{step}']
        used = {colour.lower() for colour in COLOUR.findall(part)}
        if accent not in used:
            yield f'{"dark" if look else "light"}: it has not the colour of its layer, {accent}'
        for colour in sorted(used - set(allowed.values())):
            yield f'{"dark" if look else "light"}: {colour} is no colour of slides/theme.css'
    if colour := COLOUR.search(re.sub(r'<style>.*?</style>', '', svg, flags=re.S).replace('url(#', '')):
        yield f'{colour[0]} is the same in the light and in the dark'
    coloured = [sorted(re.findall(r'([^{}]+)\{[^{}]*#', part.replace('\n', ' ')))
                for part in (light, dark)]
    if [one.strip() for one in coloured[0]] != [one.strip() for one in coloured[1]]:
        yield 'not every rule with a colour stands in the light and in the dark'
    for selectors in re.findall(r'([^{}]+)\{', light + dark):
        for selector in selectors.split(','):
            if not re.match(rf'\s*\.{prefix}(?![\w-])', selector):
                yield f'{selector.strip()} would also apply outside of it'
    for size in re.findall(r'font-size[:="]+([\d.]+)', svg):
        if float(size) < SMALLEST:
            yield f'text of {size} units, and on a phone a unit is half a pixel'


def content(path, root, text, lesson):
    name = os.path.basename(path)
    shown = re.findall(rf'^!\[([^\]]*)\]\({re.escape(name)}\)$', lesson, re.M)
    if len(shown) != 1:
        yield f'its lesson shows it {len(shown)} times'
    elif len(shown[0].split()) < 8:
        yield 'its lesson has no alt text that says what it shows'
    words = words_of(root)
    for word in sorted(words):
        if not known(word, text):
            yield f'neither its lesson nor the code has {word}'
    said = html.unescape(root.findtext(SVG + 'desc') or '')
    for word in sorted(words):
        if re.fullmatch(r'\d[\d.]*\d{2}', word) and not has(said, word):
            yield f'its desc does not say {word}'


# ---- Measuring --------------------------------------------------------------

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
        if (size(part) < SMALLEST) say('too small: ' + part.textContent);
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
})()""".replace('SMALLEST', str(SMALLEST))


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


def main():
    named = [os.path.abspath(path) for path in sys.argv[1:] if path != '--measure']
    if any(not path.endswith('.svg') for path in named):
        sys.exit(__doc__)
    found = [f'{os.path.relpath(path, TOP)}: {what}'
             for path in named or paths() for what in faults(path)]
    if '--measure' in sys.argv[1:]:
        found += measured([sources.read(path) for path in named or paths()])
    print('\n'.join(found), end='\n' if found else '')
    sys.exit(bool(found))


if __name__ == '__main__':
    main()
