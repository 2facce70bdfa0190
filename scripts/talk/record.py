"""Records the eight demos: runs them, compares, and writes what the slides play.

  usage   scripts/record check       fails if a demo or its last screens are not the same
          scripts/record update      writes the screens, and the picture for README
  needs   root; make build rootfs

Writes build/casts/NN.cast, for asciinema(1) or the player in the slides. No terminal is
needed, and nobody to type: see recording.py. slides/screens/NN.txt is what stands in both
panes at the end: who changes a demo sees there what it comes to. Ends with a line that
sums all; without root, the screens are compared and the running is skipped.
"""

import os
import sys

from ci import results
from talk import recording
from texts import sandbox, sources, transcript

CASTS = 'build/casts'
PICTURE = 'steps/08-all/recording.svg'
STEPS = sorted(name[:2] for name in os.listdir(recording.TOP + '/steps') if name[:2].isdigit())


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


def run(step, scratch):
    """What is wrong with a demo, a line a command; '' if nothing is."""
    text = recording.text_of(step)
    commands = [command for _, part in recording.of_text(text) for command in part]
    script = transcript.Transcript(commands, transcript.parse(text).vary)
    with sandbox.cgroups_for(script):
        return '\n'.join(f'{command.line}: {command.typed[0]}: {why}'
                         for command, _, why in sandbox.run_commands(script, scratch) if why)


def stands(path, text):
    """'' if a file has this text, else what is wrong."""
    if not os.path.exists(path):
        return 'is not there: scripts/record update'
    return '' if sources.read(path) == text else 'is another: scripts/record update'


def record(verb, scratch):
    total = results.Sum()
    for step in STEPS:
        parts = recording.of_step(step)
        if scratch:
            total.add(f'demo {step}', run(step, scratch))
        else:
            total.skipped += 1
        made = {f'slides/screens/{step}.txt': recording.screens(parts)}
        if PICTURE.startswith(f'steps/{step}-'):
            made[PICTURE] = recording.picture(step, parts[1:])  # README's readers attack nothing yet.
        for path, text in made.items():
            if verb == 'update':
                write(path, text)
            total.add(path, stands(path, text))
        write(f'{CASTS}/{step}.cast', recording.cast(step, parts))
    if total.skipped:
        print(f'record: the demos are run as root: {total.skipped} are skipped')
    print(total)
    return total.failed > 0


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in ('check', 'update'):
        sys.exit(__doc__)
    os.chdir(recording.TOP)
    if os.geteuid() != 0:
        sys.exit(record(sys.argv[1], None))
    with sandbox.entered() as scratch:
        status = record(sys.argv[1], scratch)
    sys.exit(status)
