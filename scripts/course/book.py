"""Makes the course as files, in build/book: no server, no network, a recording in place of the
terminals. It needs scripts/setup book."""

import os
import shutil
import sys

from course import pages
from talk import deck, npm

BOOK = pages.TOP + '/build/book'


def make(folder=BOOK):
    """Writes all files of the book, and returns their size in bytes."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    texts = {name: pages.whole(path) for name, path in pages.all_pages().items()}
    texts.update((name, pages.file(name)) for name in pages.BOOK)
    for name, text in texts.items():
        with open(f'{folder}/{name}', 'w', encoding='utf-8') as file:
            file.write(text)
    return sum(len(text.encode()) for text in texts.values())


def main():
    try:
        npm.fetch()
        print(f'made build/book: {make() >> 10} KiB; open it: file://{BOOK}/index.html')
    except (deck.Wrong, npm.Missing, OSError) as error:
        sys.exit(f'book: {error}')
