"""The way through the steps: what a learner has who does what the last hint of piece after piece
says."""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from learn.files import before, course, read
from learn.task import task

# What the sentences of a last hint say, and how many words and codes they have.
SENTENCES = {
    'above': 'Above the line with `(.+?)`, write:',
    'below': 'Below the line with `(.+?)`, write:',
    'line': 'In the place of the line with `(.+?)`, write:',
    'lines': 'In the place of the lines from `(.+?)` to `(.+?)`, write:',
    'top': 'At the top, write:',
    'words': 'In the line with `(.+?)`, write `(.+?)` in the place of `(.+?)`.',
    'remove': 'Remove the lines from `(.+?)` to `(.+?)`.',
}


def actions(hint):
    """What a last hint says, in order: a key of SENTENCES, its words, and the code that follows."""
    prose_and_code = re.split(r'```cpp\n(.*?)```', hint, flags=re.S)
    for prose, code in zip(prose_and_code[::2], [*prose_and_code[1::2], '']):
        for sentence in re.split(r'(?<=[.:]) (?=[A-Z])', ' '.join(prose.split())):
            found = [(kind, match.groups()) for kind, pattern in SENTENCES.items()
                     for match in [re.fullmatch(pattern, sentence)] if match]
            if len(found) != 1 and sentence:
                raise ValueError(f'nobody knows what to do: {sentence}')
            for kind, words in found:
                yield kind, words, code[:-1].split('\n')


def line_with(words, lines):
    """The number of the one line that is, or else that has, these words. Comments do not count."""
    code = [(number, line.strip()) for number, line in enumerate(lines)
            if not line.lstrip().startswith('//')]
    found = [number for number, line in code if line == words] or \
        [number for number, line in code if words in line]
    if len(found) != 1:
        raise ValueError(f'{len(found)} lines have `{words}` in them')
    return found[0]


def follow(hint, text):
    """The program of a learner who does what a last hint says."""
    lines = text.split('\n')
    for kind, words, code in actions(hint):
        first = line_with(words[0], lines) if words else 0
        last = first
        if kind in ('lines', 'remove') and words[1] not in lines[first]:
            below = lines[first + 1:]
            last += 1 + min(number for number, line in enumerate(below) if line.strip() == words[1]
                            or (words[1] in line and words[1] != '}'))
        if kind in ('above', 'top'):
            lines[first:first] = code
        elif kind == 'below':
            lines[first + 1:first + 1] = code
        elif kind == 'words':
            if words[2] not in lines[first]:
                raise ValueError(f'no `{words[2]}` in the line with `{words[0]}`')
            lines[first] = lines[first].replace(words[2], words[1], 1)
        else:
            lines[first:last + 1] = code if kind == 'lines' or kind == 'line' else []
    return '\n'.join(lines)


def begun(step):
    """What a learner has who begins a step."""
    return task(step)[1] or read(course(before(step)))


def learned(step):
    """The program after each piece, from the beginning on."""
    programs = [begun(step)]
    for topic in task(step)[2]:
        try:
            programs.append(follow(topic.hints[-1], programs[-1]))
        except ValueError as error:
            raise ValueError(f'{step}, {topic.name}: {error}') from error
    return programs
