"""Checks that the texts are true. Runs the commands that they show, and compares the output.

  usage   scripts/docs check [FILE.md...]     run and compare all
          scripts/docs update [FILE.md...]    write what came out into the files
          scripts/docs ran FILE...            whether each block ran somewhere

Runs a ```console block as the user whom its prompt names: see scripts/texts/transcript.py. Compares
code with the source that it was cut from: see scripts/texts/sources.py.

The host of a text has separate processes, a separate network and name, and separate home
directories. It ends with the text, so this needs root. If a text leaves something there, this is
an error nevertheless: see watched() in scripts/texts/sandbox.py. The commands that this machine
could run are listed in build/docs.ran, and `ran` reads such lists of several machines. Ends with a
line that sums all.
"""

import collections
import errno
import glob
import os
import sys

from ci import results
from host import parallel
from texts import sandbox, sources, transcript
from texts.sources import TOP

TEXTS = sorted(glob.glob('steps/*.md', root_dir=TOP) +
               glob.glob('steps/*/README.md', root_dir=TOP))

RAN = 'DOCS_RAN'  # Names the file for the commands that this machine could run.


def check_text(path, total):
    """Checks the code, for which no command is run."""
    text = sources.read(path)
    try:
        same = sources.with_code(path, text) == text
        total.add(path, '' if same else 'its code is not the source\'s: scripts/docs update')
    except sources.Missing as error:
        total.add(path, str(error))
    if line := sources.uncut_code(text):
        total.add(path, f'code that is cut from no source: {line}')


def check_commands(path, scratch, total):
    """Checks the commands of a text. Returns the lines of the commands that could be run here."""
    try:
        script = transcript.parse(sources.read(path))
    except ValueError as error:
        total.add(path, str(error))
        return []
    for word in transcript.unused(script):
        total.add(path, f'nothing in it varies by the name of {word}')
    ran, left_out = [], collections.Counter()
    with sandbox.cgroups_for(script), sandbox.watched(script) as found:
        for command, printed, why in sandbox.run_commands(script, scratch):
            if printed is None and not why:
                left_out[command.condition] += 1
                continue
            total.add(f'{path}:{command.line}: {command.typed[0]}', why)
            if printed is not None:
                ran.append(f'{path}:{command.line}\n')
    for trace in found or ['']:
        total.add(path, trace)
    for condition, number in left_out.items():
        total.skipped += number
        print(f'{path}: {number} skipped: they are for {condition}')
    if not ran and path.endswith('README.md'):
        total.add(path, 'a lesson in which nothing is run')
    return ran


def check(paths, scratch):
    total, ran = results.Sum(), []
    for path in paths:
        check_text(path, total)
        ran += check_commands(path, scratch, total)
    if RAN in os.environ:
        with open(os.environ[RAN], 'a', encoding='utf-8') as file:
            file.writelines(ran)
    print(total)
    return total.failed > 0


def check_all():
    """Checks each text on a separate host, as many at a time as there are processors. The longest
    text comes first, because otherwise it would be the only one at the end."""
    total = results.Sum()
    check_text('README.md', total)  # readme_test.py runs its commands.
    check_text('steps/08-all/bench.md', total)  # scripts/bench has made it.
    log = 'build/docs.ran'
    os.makedirs('build', exist_ok=True)
    with open(log, 'w', encoding='utf-8'):
        pass
    commands = parallel.Commands()
    os.environ[RAN] = log
    longest = sorted(TEXTS, key=lambda path: -len(transcript.parse(sources.read(path)).commands))
    for (*_, path), status, text in commands.run_all(
            [['scripts/docs', 'check', path] for path in longest], parallel.jobs_that_wait()):
        total.add_run(status, text)
        told = [line for line in text.splitlines() if not results.counts(line)]
        print(*told, sep='\n', end='\n' if told else '', flush=True)
    print(total)
    return total.failed > 0


def update(paths, scratch):
    for path in paths or TEXTS:
        lines = sources.read(path).split('\n')
        script = transcript.parse('\n'.join(lines))
        with sandbox.cgroups_for(script):
            came_out = list(sandbox.run_commands(script, scratch))
        for command, printed, why in reversed(came_out):
            if printed is not None and why:  # Else they differ only in words that vary.
                first = command.first_output - 1
                lines[first:first + len(command.expected)] = [
                    (command.indent + line).rstrip() for line in printed]
                print(f'{path}:{command.line}: updated')
            elif why:
                print(f'{path}:{command.line}: {command.typed[0]}: {why}')
        text = sources.with_code(path, '\n'.join(lines))
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
    return 0


def check_ran(texts, ran):
    """Whether each block ran as a whole on one of several machines, or on all of them together.
    `texts` maps the path of a text to its contents, and `ran` is the set of the lines that ran."""
    total, blocks = results.Sum(), {}
    for path, text in texts.items():
        for command in transcript.parse(text).commands:
            block = f'{path}:{command.block}', command.condition
            blocks.setdefault(block, set()).add(f'{path}:{command.line}')
    for (place, condition), lines in blocks.items():
        is_for = f': it is for {condition}' if condition else ''
        total.add(place, '' if lines <= ran else 'ran nowhere' + is_for)
    print(total)
    return total.failed > 0


def skip(verb, paths):
    """Checks only code, because the host for commands needs root."""
    if verb == 'update':
        sys.exit('docs: the texts are run as root')
    total = results.Sum()
    for path in paths or TEXTS:
        check_text(path, total)
        total.skipped += len(transcript.parse(sources.read(path)).commands)
    print(f'docs: the texts are run as root: {total.skipped} commands are skipped')
    print(total)
    sys.exit(total.failed > 0)


def from_top(path):
    """The path relative to the top of the project, where the programs of both hosts find it."""
    return os.path.relpath(os.path.realpath(path), os.path.realpath(TOP))


def main():
    verb, paths = (sys.argv[1:2] or [''])[0], sys.argv[2:]
    if verb not in ('check', 'update', 'ran'):
        sys.exit(__doc__)
    paths = [from_top(path) for path in paths]
    sys.argv[2:] = paths  # For the program on that host, see sandbox.py.
    os.chdir(TOP)
    if verb == 'ran':
        sys.exit(check_ran({path: sources.read(path) for path in TEXTS}, {
            line for path in paths for line in sources.read(path).splitlines()}))
    for path in paths:
        if not path.endswith('.md') or path.startswith('../'):
            sys.exit(f'docs: {path} is no text of this project, such as {TEXTS[0]}')
        if not os.path.isfile(path):
            sys.exit(f'docs: {path}: {os.strerror(errno.ENOENT)}')
    if os.geteuid() != 0:
        skip(verb, paths)
    if verb == 'check' and not paths:
        sys.exit(check_all())
    with sandbox.entered() as scratch:
        status = {'check': check, 'update': update}[verb](paths, scratch)
    sys.exit(status)


def run():
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, UnicodeError, ValueError) as error:
        sys.exit(f'docs: {error}')
