"""A step's task: what task.md says, how a learner starts, and the hints."""

import collections
import os
import re
import shutil
import subprocess
import sys

from learn.build import first_error
from learn.files import BLANK, STEPS, before, course, mine, read, write
from learn.progress import recall, remember
from learn.promise import BUILDS

# A piece of work in a step: four hints, and what they help with beside the tests that name it:
# attacks, or what is left behind, and words in what the program says.
Topic = collections.namedtuple('Topic', 'name helps_with says hints')


def marked(text, key):
    """The words in a comment as <!-- for: attack kill | attack mount -->."""
    found = re.search(f'^<!-- {key}: (.*?) -->$', text, re.M | re.S)
    return re.split(r'\s+\|\s+', found[1]) if found else []


def task(step):
    """What task.md says: the task, a start if it has one, and the topics."""
    text = read(f'steps/{STEPS[step]}/task.md')
    head, *rest = re.split(r'^## ', text, flags=re.M)
    start = re.search(r'^```cpp\n(.*?)^```\n', head, re.M | re.S)
    words = re.sub(r'^```cpp\n.*?^```\n|^# [^\n]*\n', '', head, flags=re.M | re.S)
    topics = []
    for part in rest:
        hints = re.findall(r'^\d\. (.*?)(?=^\d\. |\Z)', part, re.M | re.S)
        topics.append(Topic(part.split('\n', 1)[0], marked(part, 'for'), marked(part, 'says'),
                            [hint.strip().replace('\n   ', '\n') for hint in hints]))
    return words.strip(), start.group(1) if start else None, topics


def first_in(text, topics, key):
    """The topics that have words in a text: at most one, whose words are the longest, or come
    first. Behind an attack, (root) is that of root."""
    found = []
    for number, topic in enumerate(topics):
        for words in getattr(topic, key):
            words, _, who = words.partition(' (')
            if words in text and who in text:
                found.append((-len(words), text.index(words), number))
    return [topics[min(found)[-1]]] if found else []


def pieces_of(name, pieces, topics):
    """Those of a task that a promise needs, in order. A test names them; an attack, and what is
    left behind, stand in the task."""
    return [topic for topic in topics if topic.name in pieces] if pieces else \
        first_in(name, topics, 'helps_with')


def pieces(step):
    """The names of the pieces of a step's task, in the order in which they are written."""
    return [topic.name for topic in task(step)[2]]


def wanted(name, pieces, only, topics):
    """Whether --only means this promise: by its line, or by the last of its pieces of work,
    without which it cannot hold."""
    return only in name or any(
        only in topic.name for topic in pieces_of(name, pieces, topics)[-1:])


# ---- Starting ----

def start(step):
    if os.path.exists(mine(step)):
        sys.exit(f'{mine(step)} is there already: go on with it, or move it away')
    words, text, topics = task(step)
    origin = 'what is given'
    if text is None:
        origin = mine(before(step)) if os.path.exists(mine(before(step))) else course(before(step))
        text = read(origin)
    # The comment on top is of the step before.
    code = re.sub(r'\A(//.*\n)*\n*', '', text)
    head = ''.join(f'// {line}'.rstrip() + '\n' for line in words.splitlines())
    pieces = ''.join(f"//   make check-{step} ONLY='{topic.name}'\n" for topic in topics)
    again = f'//   make catch-up-{step}   the finished step before, to begin with\n'
    write(mine(step), f'''// Step {step}: your task.
//
{head}//
// Piece by piece, in this order, and each can be checked alone:
//
{pieces}//
{again * (step > '01')}//   make check-{step}      what holds, and what does not
//   make watch-{step}      checks the piece at hand at each save
//   make hint-{step}       the next hint, mildest first
//   make diff-{step}       what the course adds: the solution

{code}''')
    print(f'{mine(step)} is {origin}, with your task on top. Then: make check-{step}')
    if BLANK:
        print(f'But nothing can be checked here, because {BLANK}.')
    last = recall()['checks'].get(before(step))
    if last and last['broken'] and origin == mine(before(step)):
        print(f'Your {before(step)} did not hold when it was checked last: '
              f'make catch-up-{step} gives the finished one.')


def catch_up(step):
    if step == '01':
        sys.exit('there is nothing before 01: make start-01')
    earlier = before(step)
    if os.path.exists(mine(earlier)):
        number = 1
        while os.path.exists(f'{mine(earlier)}.{number}'):
            number += 1
        shutil.copy2(mine(earlier), f'{mine(earlier)}.{number}')
        print(f'Yours is kept: {mine(earlier)}.{number}')
    write(mine(earlier), read(course(earlier)))
    print(f'{mine(earlier)} is the finished step {STEPS[earlier]}.')
    print(f'{mine(step)} stays as it is: move it away to start anew from that.'
          if os.path.exists(mine(step)) else f'Then: make start-{step}')


def solution(step):
    need(step)
    subprocess.run(['git', '--no-pager', 'diff', '--no-index', '--stat=72', '-p',
                    mine(step), course(step)], check=False)


def need(step):
    if not os.path.exists(mine(step)):
        sys.exit(f'there is no {mine(step)} yet: make start-{step}')


# ---- Hints ----

Hint = collections.namedtuple('Hint', 'piece number of kind text')
RUNGS = ['the idea', 'where to read', 'the call', 'the line']
EVERY_STEP = Topic('What every step promises', [], [], ["""Each program begins and ends as that of
step 01 does: sys::parse_arguments reads the command line, sys::clone starts the child, child.wait()
has the exit status, and sys::report tells of an error. steps/README.md, "What every program
promises", lists the rest."""])


def topic_of(promise, step):
    """The piece that helps with a promise that is broken, and the step whose it is: the piece of
    this step; else that of what the program itself complains of; else that of an earlier step."""
    name, said, saw = promise['name'], promise['said'], promise['saw']
    topics = task(step)[2]
    found = [*pieces_of(name, promise['pieces'], topics)[-1:], *first_in(said, topics, 'says'),
             *first_in(saw, topics, 'helps_with')]
    if found:
        return found[0], step
    for earlier in sorted((other for other in STEPS if other < step), reverse=True):
        topics = task(earlier)[2]
        found = pieces_of(name, promise['pieces'], topics) or first_in(saw, topics, 'helps_with')
        if found:
            return found[-1], earlier
    return EVERY_STEP, '01'


def piece_at_hand(step, memory):
    """The piece to work on, and the step whose it is; None if nothing is known to be wrong."""
    topics = task(step)[2]
    check = memory['checks'].get(step)
    if check is None:
        return topics[0], step

    broken = {one['name']: one['pieces'] for one in check['broken']}
    seen, wrong = ({topic.name for name, needed in some.items()
                    for topic in pieces_of(name, needed, topics)[-1:]}
                   for some in (check['seen'], broken))
    first_open = next(((topic, step) for topic in topics if topic.name not in seen - wrong), None)
    if check['broken']:
        found = topic_of(check['broken'][0], step)
        return first_open if first_open and found[0] is EVERY_STEP else found
    if check['needs_root']:
        given = memory['hints'].get(step, {})
        return next(((topic, step) for topic in topics
                     if given.get(topic.name, 0) < len(topic.hints)), None)
    return None if check['of'] else first_open


def hint(step):
    """The next hint for the piece at hand, mildest first, as a Hint, which is remembered as given;
    None if nothing was found wrong at the last check. What does not build needs another one."""
    memory = recall()
    broken = memory['checks'].get(step, {}).get('broken')
    error = broken and broken[0]['name'] == BUILDS and first_error(step)
    if error:
        return Hint('It does not build', 1, 1, 'the first error of the compiler', error)
    found = piece_at_hand(step, memory)
    if found is None:
        return None
    topic, whose = found
    name, hints, kinds = topic.name, topic.hints, RUNGS
    if whose != step:
        name = f'{topic.name}, of step {whose}'
        hints = [f'Step {whose} promised this, and each later step keeps it. What differs? '
                 f'Compare: diff {mine(whose)} {mine(step)}', *hints]
        kinds = ['the step before', *RUNGS]
    given = memory['hints'].setdefault(step, {})
    rung = min(given.get(name, 0), len(hints) - 1)
    given[name] = rung + 1
    remember(memory)
    return Hint(name, rung + 1, len(hints), kinds[rung], hints[rung])
