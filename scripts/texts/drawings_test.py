#!/usr/bin/python3
"""Tests of the drawings of the lessons, which are all steps/*/*.svg that were placed by hand. Ends
with a line that sums all.

A drawing explains one idea of its lesson, and its title names this idea. These tests find words that
differ from the lesson or from the code. They also find what readers would miss in dark mode, with a
screen reader or without a network. The class Drawings of scripts/talk/slides_test.py measures the
text in a browser. No test sees whether arrows cross, so look at each drawing at 720 and at 360
pixels, in light and in dark mode. The rules:

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
import subprocess
import sys
import unittest
import xml.etree.ElementTree

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from texts import palette, sources, transcript

OTHERS = {'diagram.svg', 'recording.svg'}  # The eight overviews, and what programs make.
SVG = '{http://www.w3.org/2000/svg}'
COLOUR = re.compile(r'#[0-9a-f]{3,8}\b', re.I)
DARK = re.compile(r'@media \(prefers-color-scheme:dark\)\{(.*?)\n\}', re.S)
SMALLEST = 18


def paths():
    return sorted(path for path in glob.glob('steps/*/*.svg')
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
    lessons = sorted(glob.glob('steps/0*/README.md'))
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
            yield f'{"dark" if look else "light"}: {colour} is no colour of slides/palette.css'
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


# ---- The tests ----------------------------------------------------------------

class Drawings(unittest.TestCase):
    def drawn(self, path):
        """The text of a drawing from top to bottom, as pairs of a height and words."""
        return sorted((int(y), re.sub('<.*?>', '', words)) for y, words in re.findall(
            r'<text [^>]*\by="(\d+)"[^>]*>(.*?)</text>', sources.read(path)))

    def test_they_say_what_the_lesson_and_the_code_say(self):
        steps = {os.path.basename(os.path.dirname(path)) for path in paths()}
        self.assertEqual(sorted(steps), [path[6:-9] for path in sorted(glob.glob('steps/0*/main.cpp'))])
        for path in paths():
            with self.subTest(path):
                self.assertEqual(faults(path), [])

    def test_each_fault_of_a_drawing_is_found(self):
        path = next(path for path in paths() if path.endswith('/pids.svg'))
        svg, end = sources.read(path), '</g>\n</svg>'
        accent, quiet = (palette.colours()[name] for name in ('layer-02', 'quiet'))
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
            found = ' '.join(faults(path, svg.replace(old, new)))
            self.assertIn(why or '', found, old)
            self.assertEqual(bool(why), bool(found), found)

    def test_a_lesson_shows_each_once_in_words_that_prove_nothing(self):
        path = 'steps/02-pidns/pids.svg'
        lesson = sources.read('steps/02-pidns/README.md')
        for pattern, new in ((r'\]\(pids.svg\)', '](other.svg)'),
                             (r'\]\(pids.svg\)', '](pids.svg)\n![](pids.svg)'),
                             (r'!\[[^]]*\]\(pids', '![All of it](pids')):
            changed, number = re.subn(pattern, new, lesson)
            self.assertEqual(number, 1)
            self.assertEqual(len(faults(path, lesson=changed)), 1, new)
        self.assertEqual(without('Text.\n![8888](pids.svg)\n', 'pids.svg'), 'Text.\n\n')

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
        rows = {}  # For each height, the words there: an attack, a wall, and the result.
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


if __name__ == '__main__':
    summed.main()
