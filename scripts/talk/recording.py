"""Recordings: a transcript, played in two panes with the time that typing takes.

What is typed and shown is the text of a README. `scripts/docs check` and `scripts/record` run it and
compare, so a recording can be made without a terminal and without root, and is the same everywhere.
"""

import html
import json
import os
import re
import textwrap

from texts import palette, reading, sources, transcript

PICTURE = 'steps/08-all/recording.svg'
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STEPS = sorted(name[:2] for name in os.listdir(TOP + '/steps') if name[:2].isdigit())
COLUMNS, ROWS = 84, {'box': 13, 'host': 7}
LINES = sum(ROWS.values()) + len(ROWS)  # Each pane has a title.
TITLES = {'box': 'container', 'host': 'host'}
HEADINGS = ('The hole in step', 'Run it', 'Look from outside', 'The escape')  # The last is 01's.
KEY, PAUSE, READ = 0.05, 0.5, 1.2  # Seconds: a key, before a line, for a line of output.


def text_of(step):
    names = [name for name in sorted(os.listdir(TOP + '/steps')) if name.startswith(step + '-')]
    return sources.read(f'{TOP}/steps/{names[0]}/README.md')


def of_text(text):
    """What is shown of a step: its headings, with the commands below each. The step before is
    attacked first."""
    found = [re.search(f'^##+ ({begin}.*)$', text, re.M) for begin in HEADINGS]
    parts = [(heading[1], transcript.below(text, heading[1])) for heading in found if heading]
    return [(heading, commands) for heading, commands in parts if commands]


def of_step(step):
    return of_text(text_of(step))


def told_here(command):
    """What it prints. That a job has ended is told by the shell that has started it, in its pane."""
    return [line for line in command.expected if not re.match(r'\[\d+\]\+ ', line)]


def pane_of(command):
    """The container's shell is opened in its own pane, and lives there."""
    return 'box' if command.place == 'box' or reading.OPENS.match(command.typed[0]) else 'host'


class Pane:
    def __init__(self, sign):
        self.sign, self.prompt, self.lines = sign, f'host{sign} ', []

    def show(self, lines):
        for line in lines:
            line = line.expandtabs()
            self.lines += textwrap.wrap(line, COLUMNS, drop_whitespace=False) or ['']


def play(parts, keys=1):
    """Each moment, in which so many keys are typed: seconds since the last, and what the
    panes show, with the prompt."""
    for heading, commands in parts:
        sign = commands[0].sign
        panes = {name: Pane(sign) for name in ROWS}
        yield PAUSE, heading, panes, None, ''
        for command in commands:
            name = pane_of(command)
            pane = panes[name]
            for number, line in enumerate(command.typed):
                prompt = '> ' if number else pane.prompt
                wait = PAUSE
                for end in range(keys, len(line) + keys, keys):
                    yield wait, heading, panes, name, prompt + line[:end]
                    wait = keys * KEY
                pane.show([prompt + line])
            # What "..." stands for differs from machine to machine: a banner.
            printed = [line for line in told_here(command) if line.strip() != '...']
            pane.show(printed)
            if name == 'box':
                left = command.place == 'box' and command.typed == ['exit']
                pane.prompt = f'host{sign} ' if left else 'box# '
            yield KEY, heading, panes, None, ''
            if printed:
                yield READ + 0.2 * len(printed), heading, panes, None, ''
        yield 2.0, heading, panes, None, ''


def screen(heading, panes, typing, text):
    """The lines of the screen: a title and a pane, twice."""
    made = []
    for name, rows in ROWS.items():
        pane = panes[name]
        current = text if typing == name else pane.prompt
        lines = pane.lines + (textwrap.wrap(current, COLUMNS, drop_whitespace=False) or [''])
        lines = lines[-rows:]
        title = f' {TITLES[name]} ' + (f'· {heading} ' if name == 'box' else '')
        made.append(('title', title.ljust(COLUMNS)))
        made += [('line', line) for line in lines + [''] * (rows - len(lines))]
    return made


def frames(parts, keys=1):
    """When each screen appears, and it; never the same twice."""
    now, last = 0.0, None
    for wait, *moment in play(parts, keys):
        now += wait
        shown = screen(*moment)
        if shown != last:
            yield round(now, 2), shown
        last = shown


TYPED = re.compile(r'(host[#$]|box#|>)( .*|$)')


def escaped(kind, line):
    if kind == 'title':
        return f'\x1b[7m{line}\x1b[0m'
    found = TYPED.match(line)
    return f'\x1b[1;{33 if found[1] == "box#" else 36}m{found[1]}\x1b[0m{found[2]}' \
        if found else line


def events(parts):
    """What a terminal is sent: seconds since the last, and the rows that have changed."""
    then, last = 0.0, []
    for now, shown in frames(parts):
        yield now - then, ''.join(
            f'\x1b[{n + 1};1H\x1b[2K{escaped(*line)}'
            for n, line in enumerate(shown) if shown[n:n + 1] != last[n:n + 1])
        then, last = now, shown


def cast(step, parts):
    """An asciicast, version 2: a line a moment, with the rows that have changed."""
    title = f'{step}: ' + ', then '.join(heading.lower() for heading, _ in parts)
    lines = [json.dumps({'version': 2, 'width': COLUMNS, 'height': LINES,
                         'title': title})]
    now = 0.0
    for wait, changed in events(parts):
        now += wait
        lines.append(json.dumps([round(now, 2), 'o', changed], ensure_ascii=False))
    return '\n'.join(lines) + '\n'


def readmes_picture():
    """Of the last demo. README's readers attack nothing yet."""
    return picture('08', of_step('08')[1:])


def picture(step, parts):
    """The recording as an SVG that moves, for where no script may run. A row is one
    text for as long as it stays the same. It moves once, and then shows its end, as it does
    for who wants no motion. The mouse over it makes it wait."""
    wide, high = 9.6, 20
    shown = list(frames(parts, keys=6))
    end = shown[-1][0] + 3
    rows = len(shown[0][1])
    made = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {COLUMNS * wide + 20:.0f} '
            f'{rows * high + 20}" role="img" aria-label="A recording of step {step}" '
            'font-family="ui-monospace,monospace" font-size="16">',
            '<style>text{fill:#c9d1d9;white-space:pre}.t{fill:#fff;font-weight:bold}'
            f'tspan{{font-weight:bold}}.host{{fill:#a4adb8}}.box{{fill:{palette.layers(True)[step]}}}'
            '.k{fill:#fff}@keyframes s{from,to{visibility:visible}}@keyframes h{from{visibility:hidden}}'
            'svg:hover text{animation-play-state:paused!important}'
            '@media(prefers-reduced-motion:reduce){text{animation:none!important}}</style>',
            '<rect width="100%" height="100%" rx="10" fill="#14171c"/>']
    for row in range(rows):
        if shown[0][1][row][0] == 'title':
            made.append(f'<rect y="{row * high + 13}" width="100%" height="{high + 1}" fill="#2c333d"/>')
        at = 0
        while at < len(shown):
            kind, line = shown[at][1][row]
            stop = at
            while stop < len(shown) and shown[stop][1][row] == (kind, line):
                stop += 1
            if line.strip():
                begin = shown[at][0] if at else 0.0
                until = shown[stop][0] if stop < len(shown) else end
                made.append(animated(line, kind, row * high + 28, begin, until, end))
            at = stop
    return '\n'.join(made) + '\n</svg>\n'


def animated(line, kind, y, begin, until, end):
    style = ' class="t"' if kind == 'title' else ''
    text = html.escape(line.rstrip())
    if kind == 'line' and (found := TYPED.match(line)):
        place = 'box' if found[1] == 'box#' else 'host'
        text = f'<tspan class="{place}">{html.escape(found[1])}</tspan>' + \
               f'<tspan class="k">{html.escape(found[2].rstrip())}</tspan>'
    if begin == 0 and until == end:
        return f'<text x="12" y="{y}"{style}>{text}</text>'
    # What is there at the end is hidden until it comes; the rest is shown for its time.
    moves = f'animation:h 1ms {begin:.2f}s backwards' if until == end else \
        f'visibility:hidden;animation:s {until - begin:.2f}s {begin:.2f}s'
    return f'<text x="12" y="{y}"{style} style="{moves}">{text}</text>'
