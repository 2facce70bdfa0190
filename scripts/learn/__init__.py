"""Tasks, checks, hints and progress of learners. For other programs, which run at the top of the
project, as root or not:

  learn.task.pieces(step)         the names of the pieces of a task, in order
  learn.build.build(step)         builds my/NN.cpp, and what checks it
  learn.checker.promises(step, parts, jobs)  yields the promises of some of checker.parts(step), each
                                  as a Promise, whose fields learn.promise explains
  learn.task.hint(step)           the next hint, as a task.Hint; None if nothing is wrong
  learn.progress.remember_check(step, promises, number, is_whole)  what the next hint is about

`step` is a string, "05". MY names another directory than my.
"""
