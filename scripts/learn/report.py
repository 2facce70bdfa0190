"""Prints promises, and says what to do next."""

import os
import shutil
import sys
import textwrap

from learn.files import STEPS
from learn.promise import BROKEN, HOLDS, UNCHECKED
from learn.words import printable

COLOURS = {HOLDS: '32', BROKEN: '31;1', UNCHECKED: '33'}
SIGNS = {HOLDS: '+', BROKEN: '-', UNCHECKED: '?'}
INDENT = ' ' * 17
BAR = 30  # Letters.


def is_terminal():
    return sys.stdout.isatty()


def filled(text, first='', other=INDENT):
    """A paragraph; what is no terminal gets one line."""
    width = min(100, shutil.get_terminal_size().columns) if is_terminal() else len(text) + 99
    return textwrap.fill(text, width, initial_indent=first, subsequent_indent=other)


def coloured(text, verdict):
    return f'\033[{COLOURS[verdict]}m{text}\033[0m' if is_terminal() else text


def show_bar(count, number):
    """How many of some promises hold: on a terminal, until clear_bar()."""
    if is_terminal():
        done = min(BAR, BAR * count // max(number, 1))
        print(f'\r\033[K[{"#" * done}{"." * (BAR - done)}] {count} of {number}', end='',
              flush=True)


def show_building():
    """The same while the compiler works; its errors take this line."""
    if is_terminal():
        print('It is compiled ...', end='\r', flush=True)


def clear_bar():
    if is_terminal():
        print('\r\033[K', end='', flush=True)


class Report:
    """Tells of one check. What holds is a count, of which a terminal shows a bar; but all is told,
    one a line, with V=1, and where a learner asks for some."""

    def __init__(self, number, tells_all):
        self.number, self.tells_all = number, tells_all or bool(os.environ.get('V'))
        self.count, self.broken, self.reasons = 0, 0, {}

    def add(self, promise):
        """Only the first that is broken is told in full, if not all is told."""
        if promise.verdict == UNCHECKED and not self.tells_all:
            self.reasons.setdefault('; '.join(promise.saw), []).append(promise.name)
            return
        self.count += promise.verdict == HOLDS
        self.broken += promise.verdict == BROKEN
        if self.tells_all or promise.verdict == BROKEN:
            clear_bar()
            tell(promise, self.tells_all or self.broken == 1)
        if not self.tells_all:
            show_bar(self.count, self.number)

    def end(self):
        """One line for each reason why something was not checked."""
        clear_bar()
        for reason, names in self.reasons.items():
            some = f'{len(names)} promises' if len(names) > 1 else names[0]
            print(filled(f'? {UNCHECKED:<14} {some}: {reason}'))


def tell(promise, in_full=True):
    verdict = f'{SIGNS[promise.verdict]} {promise.verdict:<14}'
    print(f'{coloured(verdict, promise.verdict)} {promise.name}')
    if in_full and promise.verdict != HOLDS:
        lines = [promise.fails] * (promise.verdict == BROKEN) + list(promise.saw)
        lines += [f'It said: {line}' for line in promise.said[:2]
                  if not any(line in other for other in lines)]
        for line in lines:
            if line:
                print(filled(printable(line), INDENT, INDENT + '  '))
    sys.stdout.flush()


def tell_hint(hint, step, key=''):
    """`key` is what to press or to type for another."""
    if hint is None:
        print(f'Nothing was found wrong at the last check: make solution-{step} compares.')
        return
    parts = hint.text.split('```')  # A narrow terminal breaks lines, but not those of code.
    parts[::2] = ['\n'.join(filled(line, other='') for line in part.split('\n'))
                  for part in parts[::2]]
    print(f'{hint.piece}, {hint.number} of {hint.of}: {hint.kind}\n\n{"```".join(parts)}\n')
    print(f'Another: {key or f"make hint-{step}"}' if hint.number < hint.of else
          'That was the last hint for this piece. Write it, and check again.')


def next_step(step):
    return (f'Next: compare with the course\'s, make solution-{step}' +
            (f'; then make start-{int(step) + 1:02}.' if int(step) < len(STEPS) else
             '. All walls stand.'))
