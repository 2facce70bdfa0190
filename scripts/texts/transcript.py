"""Transcripts: the ```console blocks of a Markdown file, as data.

    ```console
    host# build/02-pidns     opens a container in this terminal
    box# echo $$             typed inside
    1
    host# pgrep -P 4101      typed in another terminal
    4102
    ```

A line that starts with a prompt is typed, and the other lines must appear. host# is root, host$ an
ordinary user, and box# is in the container. After a typed line, a line that starts with "> " is
typed, too. A line of "..." stands for any number of lines.

Words that differ from run to run are named once in the file, and each has a digit in it:

    <!-- vary: 4101 4102 10.199.0.2 -->

Two transcripts are the same if one renaming of these words makes them equal.

A block for one kind of host names this kind, as in ```console if cgroup v2. The paragraph above the
block names it, too, because a browser does not show these words. In a list, all lines of a block
have the same indentation.
"""

import dataclasses
import errno
import os
import re

PROMPT = re.compile(r'(host|box)([#$]) ?(.*)')
FENCE = re.compile(r'( *)```console(?: if (.*))?$')
OTHER_FENCE = re.compile(r' *```(cpp|sh|text)?$')
# The words of an error, but not in a line about a job of the shell.
FAULTS = [re.escape(os.strerror(number)) for number in errno.errorcode] + [
    'cannot', "can't ", r'error\b', 'not found', 'failed', 'invalid', 'unknown', 'unrecognized',
    'Killed', 'Segmentation', 'Aborted', 'Traceback']
ERROR = re.compile(r'(?!\[\d).*(' + '|'.join(FAULTS) + ')', re.I)
VARY = re.compile(r'<!--\s*vary:(.*?)-->', re.S)


@dataclasses.dataclass
class Command:
    """A typed line, and its output."""
    line: int        # The line of the file.
    block: int       # The line where its block begins.
    place: str       # 'host' or 'box'.
    sign: str        # '#' for root, '$' for an ordinary user.
    typed: list      # The typed line, and the lines that continue it.
    condition: str   # The kind of host that it needs, or ''.
    before: str      # The sentence above its block.
    expected: list = dataclasses.field(default_factory=list)
    first_output: int = 0  # The line of the file where its output begins.
    indent: str = ''       # The spaces before each of its lines.


@dataclasses.dataclass
class Transcript:
    commands: list
    vary: set


def parse(text):
    """The commands of a file in their order. Raises ValueError, naming the line."""
    vary = set(' '.join(VARY.findall(text)).split())
    commands, block, fenced, before = [], None, False, ''
    for number, line in enumerate(text.split('\n'), 1):
        if block is None:
            match = None if fenced else FENCE.match(line)
            if match:
                block, indent, start, condition = [], match[1], number, match[2] or ''
            elif line.lstrip().startswith(('```', '~~~')):
                if not OTHER_FENCE.match(line):
                    raise ValueError(f'{number}: no block of a kind that is known: {line}')
                fenced = not fenced
            elif PROMPT.match(line.lstrip()):
                raise ValueError(f'{number}: typed outside of any console block')
            elif line.strip() and not fenced and not line.startswith('<!--'):
                before = '' if line.startswith('#') else line.strip()
            continue
        if line and not line.startswith(indent):
            raise ValueError(f'{number}: stands left of its console block')
        line = line.removeprefix(indent)
        if line == '```' and not block:
            raise ValueError(f'{number}: a console block with nothing in it')
        if line == '```':
            commands += block
            block = None
        elif line.startswith('box$'):
            raise ValueError(f'{number}: a container has one prompt, box#')
        elif match := PROMPT.fullmatch(line):
            block.append(Command(number, start, match[1], match[2], [match[3]], condition,
                                 before, first_output=number + 1, indent=indent))
        elif not block:
            raise ValueError(f'{number}: a console block begins with a prompt')
        elif line.startswith('> ') and not block[-1].expected:
            block[-1].typed.append(line[2:])
            block[-1].first_output = number + 1
        else:
            block[-1].expected.append(line)
    if block is not None or fenced:
        raise ValueError('the last block has no end')
    if names := sorted(word for word in vary if not re.search(r'\d', word)):
        raise ValueError(f'does not vary from run to run: {names[0]}')
    return Transcript(commands, vary)


def unused(script):
    """The words that should vary, and that are in no block."""
    lines = '\n'.join(line for command in script.commands
                      for line in command.typed + command.expected)
    return sorted(word for word in script.vary if not Comparison({word}).words.search(lines))


def below(text, heading, every=False):
    """The commands of the first block below a heading that every host can run, or with `every` of
    all blocks below it."""
    lines = text.split('\n')
    mark = next((mark for mark in ('## ', '### ') if mark + heading in lines), None)
    if mark is None:
        raise ValueError(f'no heading "{heading}"')
    start = lines.index(mark + heading) + 1
    end = next((n for n in range(start, len(lines)) if lines[n].startswith(('## ', mark))),
               len(lines))
    commands = [command for command in parse(text).commands if start < command.line <= end]
    if every:
        return commands
    first = [command for command in commands if not command.condition]
    return [command for command in first if command.block == first[0].block]


def as_text(command):
    """The lines of a command in its block."""
    first, *more = command.typed
    return ([f'{command.place}{command.sign} {first}'] + ['> ' + line for line in more] +
            command.expected)


def shape(word):
    """The pattern of the words that can replace `word`."""
    if word.isdigit():
        return r'\d+'
    if re.fullmatch(r'[\d.]+', word):
        return r'[\d.]+'
    if re.fullmatch(r'[0-9a-f]+(:[0-9a-f]*)*', word):
        return r'[0-9a-f:]+'
    return r'\S+'


class Comparison:
    """Compares a text with the output of today, and learns today's value of each word that
    varies."""

    def __init__(self, vary):
        self.today, self.back = {}, {}
        words = sorted(vary, key=len, reverse=True)
        self.words = re.compile(
            r'(?<![\w.])(' + '|'.join(map(re.escape, words)) + r')(?!\w|\.\w)') if words \
            else re.compile(r'(?!)')

    def match(self, text, real):
        """The renaming of one line, as a list of pairs; None if there is none."""
        names, pattern, at = [], '', 0
        text, real = ' '.join(text.split()), ' '.join(real.split())
        for found in self.words.finditer(text):
            names.append(found[1])
            pattern += re.escape(text[at:found.start()]) + f'({shape(found[1])})'
            at = found.end()
        result = re.fullmatch(pattern + re.escape(text[at:]), real)
        return list(zip(names, result.groups())) if result else None

    def line(self, text, real):
        """'' if the two lines are the same, and otherwise the difference."""
        pairs = self.match(text, real)
        if pairs is None:
            return 'differs'
        for name, value in pairs:
            if self.today.setdefault(name, value) != value:
                return f'{name} was {self.today[name]} before, and is {value} now'
            if self.back.setdefault(value, name) != name:
                return f'{self.back[value]} and {name} are both {value}'
        return ''

    def behind_dots(self, rest, real, at):
        """The place in `real` where the rest of the text continues after dots at `at`."""
        if '...' not in (line.strip() for line in rest):
            return max(at, len(real) - len(rest))
        while rest[0].strip() != '...' and at < len(real) and self.match(rest[0], real[at]) is None:
            at += 1
        return at

    def lines(self, text, real):
        """The same for all lines of an output."""
        at = 0
        for number, line in enumerate(text):
            if line.strip() == '...':
                end = self.behind_dots(text[number + 1:], real, at)
                if errors := list(filter(ERROR.match, real[at:end])):
                    return f'hides an error: {errors[0]}'
                at = end
                continue
            if at == len(real):
                return f'missing: {line}'
            if why := self.line(line, real[at]):
                return f'{why}\n    text: {line}\n    real: {real[at]}'
            at += 1
        return f'not in the text: {real[at]}' if at < len(real) else ''

    def typed_today(self, text):
        """A line to type, with today's values of the words."""
        return self.words.sub(lambda found: self.today.get(found[1], found[1]), text)

    def forget(self, names):
        """Forgets the values of these words."""
        for name in names:
            value = self.today.pop(name)
            if self.back.get(value) == name:
                del self.back[value]
