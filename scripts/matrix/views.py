"""Makes steps/matrix.json of the results, the texts of matrix.json, and the output for a terminal."""

import functools
import json
import sys
import textwrap

from matrix.attacked import BROKEN, HITS, OWN, REFUSED
from matrix.attacks import ATTACKS, STEPS, TOP
from texts import sources

WHO = {'root': 'as root', 'user': 'as an ordinary user'}
TRIES = 'what a program in the container tries'
STARTED_BY = {who: f'{person} starts the container'
              for who, person in (('root', 'root'), ('user', 'an ordinary user'))}


# ---- The files ----

def steps_for(who, steps):
    return [step[:2] for step in steps if who == 'root' or step >= '03']


@functools.cache
def words(attack):
    """What an attack tries, and why its result changes where it does. These words stand in
    matrix.json only, where people write them."""
    rows = json.loads(sources.read(TOP + '/steps/matrix.json'))
    return next(({'label': row['label'], 'why': row['why']} for row in rows
                 if row['attack'] == attack), {'label': attack, 'why': ''})


def rows_of(verdicts):
    """The contents of matrix.json, which are the words of each attack, and its result for each
    caller and step. `verdicts` maps (who, step, attack) to the result."""
    return [{'attack': name, 'probe': 'probe-' + one.step} | words(name) |
            {who: {step: verdicts.get((who, step, name), BROKEN) for step in steps_for(who, STEPS)}
             for who in WHO} for name, one in ATTACKS.items()]


def verdicts_in(directory):
    """The verdicts in the matrix.json of a directory."""
    return {(who, step, row['attack']): verdict
            for row in json.loads(sources.read(directory + '/matrix.json'))
            for who in WHO for step, verdict in row[who].items()}


def made(verdicts, directory):
    """The names and the texts of the files in `directory` that are made of the verdicts."""
    rows = rows_of(verdicts)
    texts = {f'{step}/README.md': with_blocks(sources.read(f'{directory}/{step}/README.md'), rows,
                                              step[:2]) for step in STEPS}
    last = f'{STEPS[-1]}/README.md'
    texts[last] = with_block(texts[last], 'walls', walls(walls_in(directory)), '08')
    return texts | {'matrix.json': json.dumps(rows, indent=1, ensure_ascii=False) + '\n',
                    'matrix.md': markdown(rows)}


def write(verdicts, directory):
    """Writes all files that are made of the verdicts."""
    for name, text in made(verdicts, directory).items():
        with open(f'{directory}/{name}', 'w', encoding='utf-8') as file:
            file.write(text)


def markdown_table(rows, who):
    steps = steps_for(who, STEPS)
    lines = ['| ' + ' | '.join([TRIES] + steps) + ' |',
             '|---|' + '---|' * len(steps)]
    for row in rows:
        lines.append('| ' + ' | '.join([told(row)] + [
            verdict.replace(HITS, f'**{HITS}**') for verdict in row[who].values()]) + ' |')
    return '\n'.join(lines) + '\n'


def told(row):
    return f'{row["label"]} (`{row["attack"]}`)'


def markdown(rows):
    whys = '\n'.join(
        f'- **{row["label"]}** (`build/{row["probe"]} {row["attack"]}`). {row["why"]}'
        for row in rows)
    return f'''# What each step stops

<!-- Made by `scripts/matrix/matrix --out steps`; a test compares. -->

Each row is an attack that a program in the container tries, in each of the eight steps. The probe
in each step's folder attacks, and then `make matrix` looks from the host at what has changed. A
cell is one of three answers:

- **{HITS}**: the attack changed the host, or got what only the host knows.
- {REFUSED}: the kernel refused the attack.
- {OWN}: the kernel permitted the attack, and it reached only what belongs to the container.

## Run as root

{markdown_table(rows, 'root')}
## Run as an ordinary user

01 and 02 need root. Here 06 to 08 have no cable, and 07 and 08 have no memory limit.

{markdown_table(rows, 'user')}
## Why the results change

{whys}
'''


MANY_ROWS = 8  # A lesson folds a longer list.


def changes(row, step):
    """The result of an attack in a step, if the result in the step before was another one, or if
    the attack does not hit the host in 01. And the user who must start the container for this
    result, if it depends on the user."""
    found = {}
    for who in WHO:
        if step not in row[who]:
            continue
        now = row[who][step]
        last = f'{int(step) - 1:02}'
        # An ordinary user begins with 03, so the results of root in 02 come before.
        before = row[who].get(last) or row['root'].get(last)
        if before is None:
            found[who] = '' if now == HITS else now
        else:
            found[who] = '' if now == before else f'{before} → {now}'
    if len(set(found.values())) == 1:
        return found['root']
    return ', '.join(f'{text}, if {STARTED_BY[who]}' for who, text in found.items() if text)


def turns(rows, step):
    """The section of a step's README.md with the attacks that have another result from this step
    on, and why. The attacks of this step come first."""
    first = sorted(rows, key=lambda row: not row['probe'].startswith('probe-' + step))
    turned = [(row, how) for row in first if (how := changes(row, step))]
    if not turned:
        return f'In [the matrix](../matrix.md), no result changes in step {step}.'
    many = len(turned) > 1
    text = 'In [the matrix](../matrix.md), ' + (
        'these attacks do not hit the host in step 01. ' if step == '01' else
        f'{"these results change" if many else "this result changes"} in step {step}. ')
    if any(OWN in how for _, how in turned):
        text += f'*{OWN.capitalize()}* means that the attack works, but reaches only the container. '
    lines = [text + f'`make matrix STEP={step} PROBE={turned[0][0]["attack"]}` runs ' +
             ('the first row.' if many else 'this attack.'), '']
    is_long = len(turned) > MANY_ROWS
    if is_long:
        lines += [f'<details><summary>The {len(turned)} rows, one by one</summary>', '']
    lines += [f'- **{row["label"]}** (`{row["attack"]}`): {how}. {row["why"]}'
              for row, how in turned]
    if is_long:
        lines += ['', '</details>']
    return '\n'.join(textwrap.fill(line, 96, subsequent_indent='  ' * line.startswith('-'),
                                   break_on_hyphens=False) for line in lines)


def stopped_by(row, step, who):
    """A link to the first later step in which an attack no longer hits the host."""
    later = next((one for one in STEPS
                  if one[:2] > step and row[who].get(one[:2], HITS) != HITS), None)
    return f'[{later[:2]}](../{later}/README.md)' if later else 'none'


def still_open(rows, step):
    """The table of a step's README.md with the attacks that hit the host there. It names the step
    that stops each attack, and the user, if it depends on the user. Only root can start 01 and
    02."""
    lines = []
    for row in rows:
        by = {who: stopped_by(row, step, who) for who in WHO
              if row[who].get(step) == HITS}
        if not by:
            continue
        who, stops = next(iter(by.items()))
        tries = told(row)
        if len(by) < sum(step in row[one] for one in WHO):
            tries += f', only if {STARTED_BY[who]}'
        if set(by.values()) != {stops}:
            stops = ', '.join(f'{link}, if {STARTED_BY[one]}' for one, link in by.items()
                              if link != 'none')
        lines.append((stops, f'| {tries} | {stops} |'))
    lines.sort(key=lambda line: line[0].partition(']')[0])
    return '\n'.join([f'| {TRIES} | step that stops it |', '|---|---|'] + [
        line for _, line in lines])


BLOCKS = {'open': still_open, 'matrix': turns}


def walls_in(directory):
    """The results of scripts/matrix/walls by the names of the attacks."""
    return json.loads(sources.read(directory + '/walls.json'))


def walls(found):
    """The table of the attacks that a wall of --without stops, and the walls that stop none."""
    lines = [f'| {TRIES} | with none of these walls | with only one of them |', '|---|---|---|']
    idle = list(next(iter(found.values()))['alone'])
    for name, row in found.items():
        alone = {}
        for wall, verdict in row['alone'].items():
            if verdict != row['none']:
                alone.setdefault(verdict, []).append(f'`{wall}`')
                idle = [one for one in idle if one != wall]
        stops = '; '.join(f'{in_words(verdict)} with {" or ".join(names)}'
                          for verdict, names in alone.items())
        if stops:
            lines.append(f'| {told({"attack": name} | words(name))} | '
                         f'{in_words(row["none"])} | {stops} |')
    return '\n'.join(lines + ['', f'{" and ".join(f"`{wall}`" for wall in idle)} stop none of '
                              'these attacks.'])


def in_words(verdict):
    return 'reaches only the container' if verdict == OWN else verdict


def with_block(text, name, block, step):
    before, begin, rest = text.partition(f'<!-- {name} -->\n')
    _, end, after = rest.partition(f'\n<!-- end of {name} -->\n')
    if not end:
        sys.exit(f'matrix: the README.md of {step} has no <!-- {name} --> and its end')
    return f'{before}{begin}\n{block}\n{end}{after}'


def with_blocks(text, rows, step):
    """The text of a step's README.md with today's blocks."""
    for name, block in BLOCKS.items():
        text = with_block(text, name, block(rows, step), step)
    return text


# ---- For a terminal ----

def print_table(cells, options):
    colours = {HITS: '31;1', REFUSED: '33', OWN: '32', BROKEN: '35;1'}
    short = {HITS: 'hits', REFUSED: 'refused', OWN: 'own', BROKEN: 'BROKEN'}
    for who in options.who:
        steps = steps_for(who, options.step)
        if not steps:
            continue
        print(f'\nRun {WHO[who]}'.ljust(46) + ''.join(step.ljust(9) for step in steps).rstrip())
        for attack in options.probe:
            line = words(attack)['label'].ljust(45)
            for step in steps:
                cell = cells[who, step, attack]
                word = (short[cell.verdict] + ('*' if cell.not_decided else '')).ljust(9)
                colour = colours[cell.verdict]
                line += f'\033[{colour}m{word}\033[0m' if sys.stdout.isatty() else word
            print(line.rstrip())
    print('\nhits     the attack changed the host, or got what only the host knows\n'
          'refused  the kernel refused the attack\n'
          'own      the kernel permitted the attack, and it reached only the container')
    for reason in sorted({cell.not_decided for cell in cells.values()} - {None}):
        print(f'*        not decided on this host: {reason}')


def explain(cell):
    print(f'{cell.attack} in {cell.step}, {WHO[cell.who]}: {cell.verdict}')
    print(f'  tried     {words(cell.attack)["label"]}\n  ran       {cell.tried}')
    print(f'  answered  {cell.answer}\n  host saw  {cell.saw}')
    for line in cell.notes.splitlines():
        print(f'  stderr    {line}')
    if cell.not_decided:
        print(f'  but       {cell.not_decided}')
