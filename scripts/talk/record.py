"""Records the eight demos.

  usage   scripts/record check     runs them, and fails if one prints something else
          scripts/record update    writes the picture of the last demo, for README
  needs   root, for `check`; make build rootfs

No terminal is needed, and nobody to type: see recording.py. Ends with a line that sums all.
"""

import os
import sys

from ci import results
from talk import recording
from texts import sandbox, transcript



def run(step, scratch):
    """What is wrong with a demo, a line a command; '' if nothing is."""
    text = recording.text_of(step)
    commands = [command for _, part in recording.of_text(text) for command in part]
    script = transcript.Transcript(commands, transcript.parse(text).vary)
    with sandbox.cgroups_for(script):
        return '\n'.join(f'{command.line}: {command.typed[0]}: {why}'
                         for command, _, why in sandbox.run_commands(script, scratch) if why)


def check():
    total = results.Sum()
    if os.geteuid() != 0:
        total.skipped = len(recording.STEPS)
        print(f'record: the demos are run as root: {total.skipped} are skipped\n{total}')
        return 0
    with sandbox.entered() as scratch:
        for step in recording.STEPS:
            total.add(f'demo {step}', run(step, scratch))
        print(total)
        return total.failed > 0


def main():
    os.chdir(recording.TOP)
    if sys.argv[1:] == ['update']:
        with open(recording.PICTURE, 'w', encoding='utf-8') as file:
            file.write(recording.readmes_picture())
    elif sys.argv[1:] == ['check']:
        sys.exit(check())
    else:
        sys.exit(__doc__)
