"""Makes the slides: one page with nothing outside it, and what is printed of it.

  usage   scripts/slides build        build/slides.html
          scripts/slides pdf          build/slides.pdf, notes.pdf, handout.pdf
          scripts/slides shots [DIR]  a picture of each slide after its last click
  needs   scripts/setup slides; `pdf` and `shots` take Chromium

Fails rather than show code, a transcript or a picture that is gone.
"""

import os
import shutil
import subprocess
import sys

from talk import browser, deck

BUILD = deck.TOP + '/build'
PAGE = BUILD + '/slides.html'
LIMIT = 4 << 20  # Bytes, so that it goes into a mail.


def fetch():
    """What the lock file pins, and no program of it is run."""
    place = BUILD + '/npm'
    os.makedirs(place, exist_ok=True)
    lock = 'package-lock.json'
    with open(f'{deck.TOP}/slides/{lock}', encoding='utf-8') as file:
        wanted = file.read()
    done = place + '/done'
    if os.path.exists(done) and open(done, encoding='utf-8').read() == wanted:
        return
    for name in ('package.json', lock):
        shutil.copy(f'{deck.TOP}/slides/{name}', place)
    # What another clone has fetched is taken without asking; a registry that coughs is
    # asked again.
    words = ['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error',
             '--prefer-offline', '--fetch-retries=5', '--fetch-retry-mintimeout=2000',
             '--fetch-retry-maxtimeout=5000']
    try:
        subprocess.run(words, cwd=place, check=True, stdout=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise deck.Wrong('there is no npm: scripts/setup slides') from error
    except subprocess.CalledProcessError as error:
        raise deck.Wrong('npm could not fetch what slides/package-lock.json pins; it takes a '
                         'network, once') from error
    with open(done, 'w', encoding='utf-8') as file:
        file.write(wanted)


def build():
    fetch()
    slides = deck.read()
    talk, day = deck.minutes(slides)
    text = deck.page(slides)
    if len(text.encode()) > LIMIT:
        raise deck.Wrong(f'{len(text.encode())} bytes are too much')
    with open(PAGE + '.new', 'w', encoding='utf-8') as file:
        file.write(text)
    os.replace(PAGE + '.new', PAGE)
    core = sum(not slide.optional for slide in slides)
    print(f'made {os.path.relpath(PAGE)}: {core} slides for {talk} minutes, {len(slides)} with '
          f'?all for {day}; {len(text.encode()) // 1024} KiB\n'
          f'open it: {browser.address(PAGE)}')


def pdf():
    number = len(deck.read())
    for name, pages in (('slides', number), ('notes', number), ('handout', (number + 1) // 2)):
        data = browser.pdf(PAGE, name)
        made = browser.pages(data)
        if made != pages:
            raise deck.Wrong(f'{name}.pdf has {made} pages instead of {pages}')
        with open(f'{BUILD}/{name}.pdf', 'wb') as file:
            file.write(data)
        print(f'made {os.path.relpath(BUILD)}/{name}.pdf: {pages} pages')


def shots(folder=BUILD + '/shots'):
    os.makedirs(folder, exist_ok=True)
    with browser.Page(browser.address(PAGE, '?all')) as page:
        for number, _ in enumerate(deck.read()):
            page.js(f'Reveal.slide({number}, 0, 99)')
            with open(f'{folder}/{number + 1:02}.png', 'wb') as file:
                file.write(page.picture())
    print(f'made {folder}')


def main():
    verbs = {'build': build, 'pdf': pdf, 'shots': shots}
    if len(sys.argv) < 2 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    try:
        verbs[sys.argv[1]](*sys.argv[2:])
    except (deck.Wrong, browser.Lost, subprocess.CalledProcessError) as error:
        sys.exit(f'slides: {error}')
