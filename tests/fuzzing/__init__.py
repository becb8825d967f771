"""Malformed and hostile inputs by the thousand, through the command line's own door.

`python -m fuzzing` (in the Makefile: `make fuzz`) makes cases from a seed, runs each in a process
of its own under limits, and tells which ended in anything but a result or one clear line.

    scene      well-formed files of every kind that a command opens, made once
    corpus     those files and the commands that open them
    byte_mutations, text_mutations, pictures    how files are spoilt
    cases      the cases of a seed: a number always gives the same one
    worker     running one, watched and limited
    verdict    what may come of it
    report     progress, and a folder for each case that failed
"""
