"""Makes the course as files: no server, no network, a recording in place of the terminals.

  usage   scripts/book [FOLDER]    build/book if none is named
  needs   scripts/setup book
"""

import os
import shutil
import sys

from course import pages
from talk import deck, npm

LIMIT = 4 << 20  # Bytes.


def make(folder):
    """Writes all files of the book. A folder that is no book is left alone."""
    if os.path.isdir(folder) and os.listdir(folder) and not os.path.exists(folder + '/course.css'):
        raise deck.Wrong(f'{folder} has other files in it')
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    texts = {name: pages.whole(path) for name, path in pages.all_pages().items()}
    texts.update((name, text()) for name, text in pages.FILES.items())
    for name, text in texts.items():
        with open(f'{folder}/{name}', 'w', encoding='utf-8') as file:
            file.write(text)
    size = sum(len(text.encode()) for text in texts.values())
    if size > LIMIT:
        raise deck.Wrong(f'{size} bytes are too much')
    return len(texts), size


def main():
    if len(sys.argv) > 2 or sys.argv[1:2] in (['-h'], ['--help']):
        sys.exit(__doc__)
    folder = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else pages.TOP + '/build/book')
    os.chdir(pages.TOP)
    try:
        npm.fetch()
        number, size = make(folder)
    except (deck.Wrong, npm.Missing, OSError) as error:
        sys.exit(f'book: {error}')
    print(f'made {os.path.relpath(folder)}: {number} files, {size >> 10} KiB\n'
          f'open it: file://{folder}/index.html')
