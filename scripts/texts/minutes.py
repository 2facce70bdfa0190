"""How long a lesson takes, up to its exercises.

Nobody was timed. Somebody whose first language is not English reads about 140 words a minute,
also in tables and in code. Somebody who knows a shell types about 150 characters a minute, and
needs six seconds more for each command: one until it has ended, on the average of a whole run of the
texts, and five to look at what it has printed. Of two blocks for v1 and v2, a reader types one.
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
