"""A step's task: what task.md says, how a learner starts, and the hints."""

import collections
import os
import re
import shutil
import subprocess
import sys

from learn.files import BLANK, STEPS, before, course, mine, read, write
from learn.progress import recall, remember

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
    """The topics that have words in a text: at most one, whose words come first."""
    found = [(text.index(words), number) for number, topic in enumerate(topics)
             for words in getattr(topic, key) if words in text]
    return [topics[min(found)[1]]] if found else []


def topics_of(name, pieces, topics):
    """A test says its pieces; an attack is in the task."""
    return [topic for topic in topics if topic.name in pieces] if pieces else \
        first_in(name, topics, 'helps_with')


def topic_of(promise, topics):
    """Where there is help; but what the program itself complains of comes first."""
    return next(iter([*first_in(promise['said'], topics, 'says'),
                      *topics_of(promise['name'], promise['pieces'], topics),
                      *first_in(promise['saw'], topics, 'helps_with')]), None)


def wanted(name, pieces, only, topics):
    """Whether --only means this promise: by its line, or by the last of its pieces of work,
    without which it cannot hold."""
    return only in name or any(
        only in topic.name for topic in topics_of(name, pieces, topics)[-1:])


def piece_of_earlier_step(promise):
    """As in "The maps, of step 03"; None if the task of no step has a piece of this promise."""
    return next((f'{topic.name}, of step {step}' for step in STEPS for topic in task(step)[2]
                 if topic.name in promise.pieces), None)


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
    write(mine(step), f'''// Step {step}: your task.
//
{head}//
// Piece by piece, in this order, and each can be checked alone:
//
{pieces}//
//   make check-{step}      what holds, and what does not
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

RUNGS = ['the idea', 'where to read', 'the call', 'the line']


def next_topic(broken, topics):
    """The first, in the order in which one builds, that does not hold yet."""
    names = [topic_of(promise, topics) for promise in broken]
    return next((topic for topic in topics if topic in names), None)


def topic_to_hint_at(step, topics, memory):
    """Where there is no root to check it, the first whose hints are not all given; where some
    pieces were checked and hold, the first of the others."""
    check = memory['checks'].get(step)
    if check is None:
        return topics[0]
    if not check['broken'] and check['needs_root']:
        given = memory['hints'].get(step, {})
        return next((topic for topic in topics
                     if given.get(topic.name, 0) < len(topic.hints)), None)
    if not check['broken'] and not check['of']:
        seen = [topic for name, pieces in check['seen'].items()
                for topic in topics_of(name, pieces, topics)]
        return next((topic for topic in topics if topic not in seen), None)
    return next_topic(check['broken'], topics)


def hint(step):
    need(step)
    memory = recall()
    topics = task(step)[2]
    topic = topic_to_hint_at(step, topics, memory)
    if topic is None:
        broken = memory['checks'][step]['broken']
        print(f'At the last check: {broken[0]["name"]}: does not hold. There is no hint for it; '
              'what it says there is all.' if broken else
              f'Nothing was found wrong at the last check: make solution-{step} compares.')
        return
    given = memory['hints'].setdefault(step, {})
    rung = min(given.get(topic.name, 0), len(topic.hints) - 1)
    given[topic.name] = rung + 1
    remember(memory)
    print(f'{topic.name}, {rung + 1} of {len(topic.hints)}: {RUNGS[rung]}\n\n{topic.hints[rung]}\n')
    print(f'Another: make hint-{step}' if rung + 1 < len(topic.hints) else
          f'That was the last for this. When it is in: make check-{step}')
