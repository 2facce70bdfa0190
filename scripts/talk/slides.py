"""Makes the slides: one page with nothing outside it, and what is printed of it.

  usage   scripts/slides build        build/slides.html
          scripts/slides pdf [PLAN]   build/slides.pdf, notes.pdf, handout.pdf of the talk, or of
                                      `three` hours or `all`; the audience's sheet and the helpers'
          scripts/slides kit          build/kit, for a stick, and for a room without a network
          scripts/slides rehearse     the addresses that count your minutes
          scripts/slides shots [DIR]  a picture of each slide after its last click
  needs   scripts/setup slides; `pdf` and `shots` take Chromium

Fails rather than show code, a transcript or a picture that is gone.
"""

import os
import shutil
import subprocess
import sys

from talk import browser, deck, npm, recording

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


def printed(name, plan='talk'):
    """A print of the slides, or a sheet, as a PDF."""
    path = PAGE
    if name in deck.SHEETS:
        path = f'{BUILD}/{name}.html'
        with open(path, 'w', encoding='utf-8') as file:
            file.write(deck.sheet(name))
    return browser.pdf(path, name, plan)


def pdf(plan='talk'):
    for name, pages in deck.pages(deck.read(), plan).items():
        data = printed(name, plan)
        made = browser.pages(data)
        if made != pages:
            raise deck.Wrong(f'{name}.pdf has {made} pages instead of {pages}')
        with open(f'{BUILD}/{name}.pdf', 'wb') as file:
            file.write(data)
        print(f'made {os.path.relpath(BUILD)}/{name}.pdf: {pages} pages')


# What goes on the stick, beside the repository and the programs.
KIT = ('slides.html', 'slides.pdf', 'notes.pdf', 'handout.pdf', 'sheet.pdf', 'helpers.pdf')
READ_ME = '''Containers from scratch, for a room without a network

  tar xf containers.tar.gz               the course, as it is in git
  tar xf programs.tar.gz                 its programs and a root filesystem, for %s
  cd containers && sudo build/08-all     no compiler is needed to run them, and root for this one

slides.html is the talk, and V plays the recording of each demo. casts/ has the same recordings for
asciinema(1). To write steps, and not only to run them, install a compiler before: make setup.
sha256sum -c SHA256SUMS tells whether the stick is as it was.
'''


def kit(folder=BUILD + '/kit'):
    """Needs the programs, the root filesystem and the prints."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for name in KIT:
        shutil.copy(f'{BUILD}/{name}', folder)
    os.makedirs(folder + '/casts')
    for step in deck.STEPS:
        with open(f'{folder}/casts/{step}.cast', 'w', encoding='utf-8') as file:
            file.write(recording.cast(step, recording.of_step(step)))
    programs = [f'build/{name}' for name in [*deck.STEPS.values(), 'enter', 'inspect', 'rootfs']]
    for words in (['git', 'archive', '--prefix=containers/',
                   f'--output={folder}/containers.tar.gz', 'HEAD'],
                  ['tar', '-czf', folder + '/programs.tar.gz', '--owner=0', '--group=0',
                   '--transform=s,^build,containers/build,', *programs]):
        subprocess.run(words, cwd=deck.TOP, check=True)
    with open(folder + '/README.txt', 'w', encoding='utf-8') as file:
        file.write(READ_ME % f'Linux on {os.uname().machine}')
    sums = subprocess.run(['sh', '-c', 'find . -type f | sort | xargs sha256sum'], cwd=folder,
                          check=True, capture_output=True, text=True).stdout
    with open(folder + '/SHA256SUMS', 'w', encoding='utf-8') as file:
        file.write(sums)
    print(f'made {os.path.relpath(folder)}: {len(sums.splitlines())} files')


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
    verbs = {'build': build, 'pdf': pdf, 'kit': kit, 'rehearse': rehearse, 'shots': shots}
    if len(sys.argv) < 2 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    try:
        verbs[sys.argv[1]](*sys.argv[2:])
    except (deck.Wrong, browser.Failure, npm.Missing, subprocess.CalledProcessError) as error:
        sys.exit(f'slides: {error}')
