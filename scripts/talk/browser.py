"""Chromium without a window: browser.js runs it with puppeteer."""

import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from talk import npm

TIMEOUT_SECONDS = 120  # On a slow machine, too.
LEAST_CONTRAST = 4.5  # Of WCAG 2, for text.


# Finds each word on the screen below ROOT. What is on top of a word hides it. What answers to a
# scroll has answered two frames later. Then another page looks at a picture of the words.
WORDS = r'''
const words = await page.evaluate(async () => {
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  const found = [], walker = document.createTreeWalker(ROOT, NodeFilter.SHOW_TEXT), range = document.createRange();
  const isSeen = (node, x, y) => {  // A terminal has a layer for the mouse on top.
    const top = document.elementFromPoint(x, y);
    return node.contains(top) || top?.closest('.xterm')?.contains(node);
  };
  while (walker.nextNode()) {
    const text = walker.currentNode, node = text.parentElement;
    if (!node.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) ||
        node.closest('script, style, option, #player')) continue;
    for (const word of text.data.matchAll(/\S{3,}/g)) {
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      const { left, top, bottom, width, height } = range.getBoundingClientRect();
      if (width >= 3 && top >= 0 && bottom <= innerHeight &&
          [1, 3].every(part => isSeen(node, left + width * part / 4, (top + bottom) / 2)))
        found.push([`${node.tagName} ${word[0]}`, left, top, width, height]);
    }
  }
  return found;
});
const shot = await page.screenshot({ encoding: 'base64' });
globalThis.eye ||= await browser.newPage();
await eye.bringToFront();
const seen = await eye.evaluate(async (shot, words, scale) => {
  const image = new Image();
  image.src = 'data:image/png;base64,' + shot;
  await image.decode();
  const paper = new OffscreenCanvas(image.width, image.height).getContext('2d', { willReadFrequently: true });
  paper.drawImage(image, 0, 0);
  const linear = part => part <= 10 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4;
  return words.map(([word, ...box]) => {
    const data = paper.getImageData(...box.map(side => Math.round(side * scale))).data, number = new Map();
    for (let at = 0; at < data.length; at += 4) {
      const light = 0.2126 * linear(data[at]) + 0.7152 * linear(data[at + 1]) + 0.0722 * linear(data[at + 2]) + 0.05;
      number.set(light, (number.get(light) || 0) + 1);
    }
    const ground = [...number].sort((a, b) => b[1] - a[1])[0][0];
    return [word, Math.max(...[...number.keys()].map(light => Math.max(light / ground, ground / light)))];
  });
}, shot, words, await page.evaluate('devicePixelRatio'));
await page.bringToFront();  // In the back, it draws nothing.
return seen'''


class Failure(Exception):
    """Why the browser does not do what was asked."""


def program():
    """The path of Chromium, or None."""
    return next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))),
                None)


def address(path, query=''):
    return pathlib.Path(path).resolve().as_uri() + query


class Page:
    """A page that is complete: its body then has data-ready."""

    def __init__(self, url, width=1280, height=720):
        if not program():
            raise Failure('there is no chromium: scripts/setup slides')
        try:
            npm.fetch()
        except npm.Missing as error:
            raise Failure(error) from error
        self.home = tempfile.mkdtemp(prefix='browser.')
        self.process = subprocess.Popen(
            ['node', os.path.splitext(__file__)[0] + '.js', program(), npm.MODULES, self.home,
             str(width), str(height)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, 'HOME': self.home, 'TMPDIR': self.home})
        try:
            self.run(f'await page.goto({json.dumps(url)}, {{ waitUntil: "domcontentloaded" }})')
            self.until('document.body.dataset.ready')
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def run(self, code):
        """What JavaScript returns that uses `browser` and `page` of puppeteer."""
        try:
            self.process.stdin.write(json.dumps(code) + '\n')
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError) as error:
            raise Failure('the browser has ended: ' + self.process.stderr.read().strip()) from error
        if 'error' in answer:
            raise Failure(answer['error'])
        return answer.get('value')

    def js(self, expression):
        """The value of an expression in the page."""
        return self.run(f'return page.evaluate({json.dumps(expression)})')

    def until(self, expression):
        """Waits. (The policy of the slides forbids puppeteer's own way of waiting.)"""
        end = time.monotonic() + TIMEOUT_SECONDS
        while not self.js(f'!!({expression})'):
            if time.monotonic() > end:
                raise Failure(f'still not: {expression}')
            time.sleep(0.05)

    def press(self, *keys):
        """One key, or several at once."""
        self.run(f'''const keys = {json.dumps(keys)};
                     for (const key of keys) await page.keyboard.down(key);
                     for (const key of keys.reverse()) await page.keyboard.up(key)''')

    def unreadable(self, root='document.body', fewest=20):
        """The words seen below an element that cannot be read, each with its contrast: the best of its
        pixels to the colour that most of its place has. Also if fewer words are seen than expected."""
        words = self.run(WORDS.replace('ROOT', root))
        few = [f'only {len(words)} words are seen'] if len(words) < fewest else []
        return few + [f'{word} {contrast:.1f}' for word, contrast in words if contrast < LEAST_CONTRAST]

    def picture(self):
        return base64.b64decode(self.run('return page.screenshot({ encoding: "base64" })'))

    def complaints(self):
        """Errors, warnings and requests since the start: a page should have none."""
        return self.run('await page.evaluate("1"); return complaints')

    def close(self):
        """Ends the browser, and then removes its files."""
        self.process.communicate()
        while os.path.exists(self.home):  # A browser that was killed may still write.
            shutil.rmtree(self.home, ignore_errors=True)


# Millimetres: a slide, and A4.
PAPER = {'slides': (338.667, 190.5)}


def pdf(path, kind, plan):
    """The page as it is printed: kind is slides, notes or handout."""
    wide, high = PAPER.get(kind, (210, 297))
    margin = '0' if kind == 'slides' else '0.4in'
    options = {'printBackground': True, 'width': f'{wide}mm', 'height': f'{high}mm',
               'margin': dict.fromkeys(('top', 'bottom', 'left', 'right'), margin)}
    with Page(address(path, f'?print={kind}&{plan}')) as page:
        return base64.b64decode(page.run(
            f'return Buffer.from(await page.pdf({json.dumps(options)})).toString("base64")'))


def pages(data):
    """How many a PDF has: Chromium writes its page objects uncompressed."""
    return len(re.findall(rb'/Type\s*/Page\b(?!s)', data))
