"""How long a reader needs for a lesson, without its exercises.

We timed no reader. We assume that a reader with English as second language reads 140 words a
minute, also in tables and in code, and types 150 characters a minute. Six more seconds for each
command are for a change of the terminal and a look at the output. In a run of all texts, a command
itself needed 0.2 seconds on average. Of two blocks for v1 and v2, a reader types one.
"""

import math
import re

from texts import sources, transcript

WORDS, CHARACTERS, COMMAND = 140, 150, 6
NOT_READ = [re.compile(r'<!--.*?-->', re.S), re.compile(r'^ *```console.*?^ *```$', re.M | re.S),
            re.compile(r'\]\([^)]*\)')]


def of(path):
    """Two numbers of minutes, to read and to type, each rounded up to a multiple of five."""
    text = sources.read(path)
    story = re.split(r'^## (?:Exercises|By hand)$', text, maxsplit=1, flags=re.M)[0]
    last = story.count('\n')
    for pattern in NOT_READ:
        story = pattern.sub(' ', story)
    words = len(re.findall(r'\w\S*', story))
    commands = [command for command in transcript.parse(text).commands
                if command.line <= last and command.condition != 'cgroup v1']
    characters = sum(len(line) + 1 for command in commands for line in command.typed)
    return tuple(5 * math.ceil(minutes / 5) for minutes in (
        words / WORDS, characters / CHARACTERS + len(commands) * COMMAND / 60))
