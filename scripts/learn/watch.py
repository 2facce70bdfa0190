"""Checks the piece at hand of a step at each save."""

import contextlib
import os
import select
import sys
import termios
import tty

from learn import checker, progress, report, task
from learn.build import build
from learn.files import STEPS, mine
from learn.promise import BROKEN, HOLDS

LOOK = 0.2  # Seconds between two looks at the file.
KEYS = 'h: the next hint   a: the whole step   q: leave'


@contextlib.contextmanager
def keys():
    """Each key at once, and not shown; where there is a terminal."""
    if not sys.stdin.isatty():
        yield
        return
    modes = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, modes)


def saved(step):
    """Other at each save. Some editors remove the file for a moment."""
    try:
        about = os.stat(mine(step))
    except OSError:
        return None
    return about.st_mtime_ns, about.st_ino


def wait(step, before):
    """For a save, or for a key, which is returned; '' is a save, 'q' the end of the input."""
    keyboard = [sys.stdin] if sys.stdin.isatty() else []
    while saved(step) in (before, None):
        if select.select(keyboard, [], [], LOOK)[0]:
            return os.read(sys.stdin.fileno(), 1).decode(errors='replace') or 'q'
    return ''


def check_part(step, piece, jobs, progresses=lambda count, number: None):
    """The promises of a piece, or of the whole step, up to the first that is broken. They are
    remembered. `progresses` hears of each how many there were until then, of how many."""
    part = [one for one in checker.parts(step) if piece in (one.piece, None)]
    found = []
    number = checker.number_of(step, part)
    progresses(0, number)
    for promise in checker.promises(step, part, jobs, stops=True):
        found.append(promise)
        progresses(len(found), number)
        if promise.verdict == BROKEN:
            break
    holds = not found or found[-1].verdict != BROKEN
    progress.remember_check(step, found, checker.number_of(step), is_whole=piece is None and holds)
    return found


def check_piece(step, piece, jobs):
    """Tells the first promise of a piece that is broken, or how many hold. Returns whether all
    do."""
    found = check_part(step, piece, jobs, report.show_bar)
    report.clear_bar()
    if found and found[-1].verdict == BROKEN:
        report.tell(found[-1])
        hand, whose = task.piece_at_hand(step, progress.recall())  # The key h helps with it.
        print(f'\nPiece: {hand.name}{"" if whose == step else f", of step {whose}"}')
        return False
    unchecked = sum(promise.verdict not in (HOLDS, BROKEN) for promise in found)
    print(f'+ {piece}: {len(found) - unchecked} hold' +
          (f', {unchecked} not checked' if unchecked else ''), flush=True)
    return True


def from_hand(step):
    """The pieces of a step from the one at hand on."""
    pieces = task.pieces(step)
    hand = task.piece_at_hand(step, progress.recall())
    return pieces[pieces.index(hand[0].name) if hand and hand[0].name in pieces else 0:]


def check_on(step, jobs, check_all):
    """From the piece at hand on, and at last the whole step. Returns whether it builds."""
    if report.is_terminal():
        print('\033[H\033[2J', end='')
    print(f'{STEPS[step]}, as {mine(step)} has it\n', flush=True)
    report.show_building()
    if not build(step):
        print('\nIt does not build.')
        return False
    report.clear_bar()
    if all(check_piece(step, piece, jobs) for piece in from_hand(step)):
        check_all()
    return True


def watch(step, jobs, check_all):
    """Until q, or ^C. `check_all` checks the whole step."""
    with keys():
        key, seen, builds = '', None, False
        while key != 'q':
            if key == '':
                seen = saved(step)
                builds = check_on(step, jobs, check_all)
                print(f'\n{KEYS}\n(at each save of {mine(step)} it checks again)', flush=True)
            elif key == 'a' and not builds:
                print('\nIt does not build: the compiler says why, above.')
            elif key == 'h':
                print()
                report.tell_hint(task.hint(step), step, 'h')
            elif key == 'a':
                print()
                check_all()
            sys.stdout.flush()
            key = wait(step, seen)
    return 0
