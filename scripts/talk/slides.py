"""Makes the slides: one page with nothing outside it, and what is printed of it.

  usage   scripts/slides build        build/slides.html
          scripts/slides pdf          build/slides.pdf, notes.pdf, handout.pdf
          scripts/slides rehearse     the addresses that count your minutes
          scripts/slides shots [DIR]  a picture of each slide after its last click
  needs   scripts/setup slides; `pdf` and `shots` take Chromium

Fails rather than show code, a transcript or a picture that is gone.
"""

import os
import subprocess
import sys

from talk import browser, deck, npm

BUILD = deck.TOP + '/build'
PAGE = BUILD + '/slides.html'
LIMIT = 4 << 20  # Bytes, so that it goes into a mail.


def build():
    npm.fetch()
    slides = deck.read()
    text = deck.page(slides)
    if len(text.encode()) > LIMIT:
        raise deck.Wrong(f'{len(text.encode())} bytes are too much')
    with open(PAGE + '.new', 'w', encoding='utf-8') as file:
        file.write(text)
    os.replace(PAGE + '.new', PAGE)
    print(f'made {os.path.relpath(PAGE)}, {len(text.encode()) // 1024} KiB: ' + ', '.join(
        f'?{plan}: {sum(slide.is_in(plan) for slide in slides)} slides, {minutes:g} minutes'
        for plan, minutes in deck.minutes(slides).items()))
    print(f'open it: {browser.address(PAGE)}')


def pdf():
    for name, pages in deck.pages(deck.read()).items():
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


def rehearse():
    for plan, minutes in deck.minutes(deck.read()).items():
        print(f'{plan}, {minutes:g} minutes: {browser.address(PAGE, f"?{plan}&rehearse")}')
    print('Talk aloud, with the demos. The key M shows the minutes planned and used, by the part.\n'
          'They stay in this browser: without "rehearse" in the address, M shows them again.')


def main():
    verbs = {'build': build, 'pdf': pdf, 'rehearse': rehearse, 'shots': shots}
    if len(sys.argv) < 2 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    try:
        verbs[sys.argv[1]](*sys.argv[2:])
    except (deck.Wrong, browser.Lost, npm.Missing, subprocess.CalledProcessError) as error:
        sys.exit(f'slides: {error}')
