"""Prints promises, and says what to do next."""

import sys
import textwrap

from learn.checker import BROKEN, HOLDS, UNCHECKED
from learn.files import STEPS
from learn.progress import as_remembered
from learn.task import next_topic, piece_of_earlier_step, topic_of

COLOURS = {HOLDS: '32', BROKEN: '31;1', UNCHECKED: '33'}


def printable(text):
    """What a program says may be anything: none of it moves the cursor, or hides."""
    return ''.join(letter if letter.isprintable() else '?' for letter in text)


def tell(promise, topics, told):
    """A reason for not checking, the sentence of a test, or a line that the program said, is
    told once: `told` has those of earlier promises."""
    sign = {HOLDS: '+', BROKEN: '-', UNCHECKED: '?'}[promise.verdict]
    verdict = f'{sign} {promise.verdict:<14}'
    if sys.stdout.isatty():
        verdict = f'\033[{COLOURS[promise.verdict]}m{verdict}\033[0m'
    print(f'{verdict} {promise.name}')
    if promise.verdict == BROKEN and promise.fails not in told:
        for line in textwrap.wrap(promise.fails, 80):
            print(f'                   {line}')
        told.add(promise.fails)
    if promise.verdict == BROKEN or promise.saw not in told:
        for line in promise.saw.splitlines():
            print(f'                   {printable(line)}')
    told.add(promise.saw)
    if promise.verdict == BROKEN:
        for line in promise.said[:2]:
            if line not in told:
                print(f'                   it said: {printable(line)}')
        told.update(promise.said)
        topic = topic_of(as_remembered(promise), topics)
        place = topic.name if topic else piece_of_earlier_step(promise)
        if place:
            print(f'                   look at: {place}')
    sys.stdout.flush()


def waiting(text):
    if sys.stdout.isatty():
        print(f'\r\033[K  {text}' if text else '\r\033[K', end='', flush=True)


def conclude(step, only, broken, needs_root, topics):
    """Says what to do next; returns the exit status."""
    if broken:
        topic = next_topic(broken, topics)
        print(f'Next: {topic.name}. make hint-{step} helps.' if topic else
              f'Next: {broken[0]["name"]}.')
        return 1
    if needs_root:
        print(f'Next: make check-{step} where you may use sudo: {len(needs_root)} promises take '
              'root, and are not known to hold.')
        return 3
    if only:
        print(f'Next: make check-{step}, for these were some of them.')
        return 0
    print(f'Next: compare with the course\'s, make solution-{step}' +
          (f'; then make start-{int(step) + 1:02}.' if int(step) < len(STEPS) else
           '. All walls stand.'))
    return 0
