"""The files of a learner and of the course: where they are, and what is in them."""

import glob
import os

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STEPS = {os.path.basename(os.path.dirname(path))[:2]: os.path.basename(os.path.dirname(path))
         for path in sorted(glob.glob(glob.escape(TOP) + '/steps/*/main.cpp'))}
MY = os.environ.get('MY', 'my')
BUILD = 'build'
STEP_TESTS = BUILD + '/step-tests'
# What start says, too, before anything is written.
BLANK = len((TOP + MY).split()) > 1 and \
    f'the tests take {TOP} for two words: move it to a path without a blank'


def read(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read()


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


def mine(step):
    return f'{MY}/{step}.cpp'


def course(step):
    return f'steps/{STEPS[step]}/main.cpp'


def before(step):
    return f'{int(step) - 1:02}'


def program(step):
    return os.path.abspath(f'{BUILD}/{MY}/{STEPS[step]}')


def own_rootfs():
    return os.path.abspath(f'{BUILD}/{MY}/rootfs')
