"""What a Markdown file shows of other files: code, links, diagrams.

A fenced block below one of these is cut from a source beside the file:

    <!-- code main.cpp: void mount_proc -->          a function, with its comment
    <!-- code main.cpp: sys::Child child ... }); --> from a line to a line, each by its words
"""

import os
import re
import textwrap

CODE = re.compile(r'^<!-- code (\S+): (.*?) -->\n```(\w+)\n(.*?)^```$', re.M | re.S)
UNCUT_CODE = re.compile(r'<!--\s*code.*|^```cpp$', re.M)
LINK = re.compile(r'(?<!\\)\[[^\]]*\]\(([^)\s]+)\)')
# Links of kinds that LINK does not know: with a title or blanks, by reference, or in HTML.
ODD_LINK = re.compile(r'\]\([^)]*\s[^)]*\)|\]\[|^\[[^\]]+\]:|<a ', re.M)
HEADING = re.compile(r'^#+ (.*)$', re.M)
BLOCK = re.compile(r'^ *```.*?^ *```$', re.M | re.S)


class Missing(ValueError):
    """What a file refers to is not there."""


def find(lines, words, start=0):
    """The number of the only line that has these words, from `start` on."""
    found = [number for number in range(start, len(lines)) if words in lines[number]]
    if not found:
        raise Missing(f'no line has "{words}"')
    return found[0]


def place(lines, what):
    """Where the piece of a source that `what` names is: its first and its last line."""
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
    """The text with its code as it is today."""
    def today(found):
        source = os.path.join(os.path.dirname(path), found[1])
        try:
            piece = cut(read(source), found[2])
        except (Missing, OSError) as error:
            raise Missing(f'{source}: {error}') from error
        return f'<!-- code {found[1]}: {found[2]} -->\n```{found[3]}\n{piece}```'
    return CODE.sub(today, text)


def uncut_code(text):
    """The first line of code that is cut from no source, though it may look so; '' if there is none.
    (What stands in a list, an exercise's answer, may be of no source.)"""
    found = UNCUT_CODE.search(CODE.sub('', text))
    return found[0] if found else ''


def anchor(heading):
    """What a heading is called in a link: lower case, words joined by hyphens."""
    plain = re.sub(r'[`*]|\[([^\]]*)\]\([^)]*\)', r'\1', heading).strip().lower()
    return re.sub(r'[^\w\- ]', '', plain).replace(' ', '-')


def is_foreign(path, name):
    """Whether what a text links to is none of the project's own files: a path from the root, one
    that leads out, or one that is built."""
    first = os.path.normpath(os.path.join(os.path.dirname(path), name)).split(os.sep)[0]
    return os.path.isabs(name) or first in ('..', 'build')


def broken_links(path, text):
    """Relative links that lead nowhere, or out of here; and those that nobody follows."""
    prose = BLOCK.sub('', text)
    broken = [found[0] for found in ODD_LINK.finditer(re.sub(r'`[^`\n]*`', '', prose))]
    for link in LINK.findall(prose):
        if re.match(r'[a-z]+:', link):
            continue
        name, _, place = link.partition('#')
        target = os.path.join(os.path.dirname(path), name) if name else path
        if not os.path.exists(target) or (name and is_foreign(path, name)):
            broken.append(link)
        elif place:
            other = BLOCK.sub('', read(target))
            if place not in map(anchor, HEADING.findall(other)):
                broken.append(link)
    return broken
