"""The code that a Markdown file shows of other files.

A fenced block below one of these is cut from a source beside the file:

    <!-- code main.cpp: void mount_proc -->          a function, with its comment
    <!-- code main.cpp: sys::Child child ... }); --> from a line to a line, each by its words
"""

import os
import re
import textwrap

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CODE = re.compile(r'^<!-- code (\S+): (.*?) -->\n```(\w+)\n(.*?)^```$', re.M | re.S)
UNCUT_CODE = re.compile(r'<!--\s*code.*|^```cpp$', re.M)


class Missing(ValueError):
    """A file refers to something that does not exist."""


def find(lines, words, start=0):
    """The number of the only line that has these words, from `start` on."""
    found = [number for number in range(start, len(lines)) if words in lines[number]]
    if not found:
        raise Missing(f'no line has "{words}"')
    return found[0]


def place(lines, what):
    """The first and the last line of the piece of a source that `what` names."""
    if ' ... ' in what:
        first, last = what.split(' ... ')
        start = find(lines, first)
        return start, find(lines, last, start)
    start = find(lines, what)
    end = next((number for number in range(start, len(lines)) if lines[number] in ('}', '};')),
               None)
    if end is None:
        raise Missing(f'"{what}" has no end')
    while lines[start - 1].startswith('//'):
        start -= 1
    return start, end


def cut(source, what):
    """The piece of a source that `what` names."""
    lines = source.split('\n')
    start, end = place(lines, what)
    return textwrap.dedent('\n'.join(lines[start:end + 1])) + '\n'


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def with_code(path, text):
    """The text with the code that the sources have today."""
    def today(found):
        source = os.path.join(os.path.dirname(path), found[1])
        try:
            piece = cut(read(source), found[2])
        except (Missing, OSError) as error:
            raise Missing(f'{source}: {error}') from error
        return f'<!-- code {found[1]}: {found[2]} -->\n```{found[3]}\n{piece}```'
    return CODE.sub(today, text)


def uncut_code(text):
    """The first line of a code block that is cut from no source, or ''. (Code in a list, for
    example in the answer of an exercise, can be in no source.)"""
    found = UNCUT_CODE.search(CODE.sub('', text))
    return found[0] if found else ''
