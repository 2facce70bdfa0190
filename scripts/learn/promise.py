"""What a step promises, and how a promise came out."""

import collections

# `name` says what is promised. `verdict` is one of the three below. `saw` tells what was done and
# seen, line by line; `said` are the lines that the program said of itself. `pieces` are headings
# in steps/*/task.md, and `fails` is one sentence: what is done, what is expected, and why.
Promise = collections.namedtuple('Promise', 'name verdict saw said pieces fails',
                                 defaults=[[], [], [], ''])
HOLDS, BROKEN, UNCHECKED = 'holds', 'does not hold', 'not checked'
BUILDS, THE_REST = 'it builds', 'all the rest'
NOT_BUILT = [Promise(BUILDS, BROKEN, ['The compiler says why, above.']),
             Promise(THE_REST, UNCHECKED, ['first of all it has to build'])]
NO_ROOT = 'it needs root, and there is no sudo here'
