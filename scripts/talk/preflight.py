"""The night before: will all of it work, on this machine, tomorrow?

  usage   scripts/preflight

A line a thing: green with a ✓, or red with a ✗, what is wrong, and what mends it. What
could not be tried has a ? and is no better. What takes long comes last. Fails unless all is green.
"""

import os
import re
import shutil
import subprocess
import sys

from talk import browser, recording

os.chdir(recording.TOP)
SUDO = [] if os.geteuid() == 0 else ['sudo']
FREE = 500  # MiB.
RED, GREEN, PLAIN = '\x1b[31m', '\x1b[32m', '\x1b[0m'


class Untried(Exception):
    """Why."""


def ran(*words):
    """'' if a command does well, else its last lines."""
    try:
        result = subprocess.run(words, capture_output=True, text=True, check=False,
                                stdin=subprocess.DEVNULL)
    except OSError as error:
        return f'{words[0]}: {error.strerror}'
    # What was skipped and the sums tell nothing of what fails.
    said = [line for line in (result.stdout + result.stderr).splitlines()
            if line.strip() and not re.search(r'\d skipped\b', line)]
    return '' if result.returncode == 0 else ' / '.join(said[-3:]) or 'fails'


def as_root(*words):
    if ran(*SUDO, 'true'):
        raise Untried('it takes root')
    return ran(*SUDO, *words)


def space():
    free = shutil.disk_usage('/tmp').free >> 20
    return '' if free >= FREE else f'{free} MiB are free in /tmp: the demos take {FREE}'


def demo():
    there = not ran(*SUDO, 'tmux', '-L', 'demo', 'has-session')
    return 'one is running' if there else ''


# A letter that no font has is drawn as every other such letter. 400 pixels say which.
LETTERS = '''(async () => {
  const drawn = letter => {
    const paper = Object.assign(document.createElement('canvas'), { width: 20, height: 20 });
    const pen = paper.getContext('2d', { willReadFrequently: true });
    pen.font = '16px "Deck Sans", sans-serif';
    pen.fillText(letter, 2, 16);
    return pen.getImageData(0, 0, 20, 20).data.join();
  };
  const none = drawn('\\u{10fffd}');
  const missing = [...'✗–✓▶·'].filter(letter => drawn(letter) === none);
  for (const font of ['400 20px "Deck Sans"', '600 20px "Deck Mono"'])
    if (!(await document.fonts.load(font)).length) missing.push(font);
  return missing;
})()'''


def page():
    """Every slide at a projector's size: scripts/talk/slides_test.py tries more."""
    try:
        with browser.Page(browser.address('build/slides.html', '?all'), 1920, 1080) as shown:
            for slide in range(shown.js('Reveal.getTotalSlides()')):
                shown.js(f'Reveal.slide({slide}, 0, 99)')
            lacks = [f'no font has {letter}' for letter in shown.js(LETTERS)]
            return '; '.join(shown.complaints() + lacks)
    except browser.Failure as error:
        return str(error)


TERMINAL = "document.querySelector('.live .xterm-rows')?.textContent.replaceAll('\\xa0', ' ')"


def live():
    """The server, its page, and a command in the shell over the slides."""
    command = ['scripts/serve', '--slides']
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = next((line.strip() for line in server.stdout if 'http://' in line), None)
            if not address:
                return 'the server ends at once'
            with browser.Page(address) as shown:
                shown.press('c')
                shown.until(f"{TERMINAL}?.includes('host')")
                shown.run("await page.keyboard.type('echo $((6*7))\\n')")
                shown.until(f"{TERMINAL}.includes('42host')")  # Its next prompt is the next row.
            return ''
        except browser.Failure as error:
            return str(error)
        finally:
            server.terminate()


# What, how that is seen, and what mends it.
CHECKS = [
    ('space for the demos', space, 'make room in /tmp'),
    ('programs for a talk', lambda: ran('scripts/setup', 'slides'), 'scripts/setup slides'),
    ('root, for the demos', lambda: ran(*SUDO, 'true'),
     'sudo -v, and then make preflight; or be root'),
    ('all eight programs', lambda: ran('make', '--no-print-directory', 'build', 'rootfs'),
     'make build rootfs'),
    ('which steps work here', lambda: ran('scripts/doctor'), 'make doctor says what'),
    ('no other demo', demo, 'end it with q; or sudo tmux -L demo kill-server'),
    ('the slides', lambda: ran('scripts/slides', 'build'), 'make slides, with a network'),
    ('the slides in the browser', page,
     'for a letter, a font such as fonts-dejavu-core; scripts/talk/slides_test.py says more'),
    ('make live, and a shell in its page', live,
     'make live says more; until then, build/slides.html, and sudo scripts/demo --watch beside it'),
    ('every demo, and its recording', lambda: as_root('scripts/record', 'check'),
     'make record says where; until then, V in the slides plays the recording'),
    ('every text', lambda: as_root('scripts/docs', 'check'), 'make docs says where'),
]


def main():
    if len(sys.argv) != 1:
        sys.exit(__doc__)
    bad = 0
    for name, check, mend in CHECKS:
        sign, colour = '✗', RED
        try:
            why = check()
        except Untried as reason:
            sign, why = '?', f'not tried: {reason}'
        if why:
            bad += 1
            print(f'{colour}{sign}{PLAIN} {name}: {why}\n    {mend}', flush=True)
        else:
            print(f'{GREEN}✓{PLAIN} {name}', flush=True)
    print('ready' if not bad else f'{bad} of {len(CHECKS)} to mend')
    sys.exit(bad > 0)
