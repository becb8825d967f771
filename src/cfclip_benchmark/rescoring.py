"""Rows of another ruler, read anew: their edits are rendered again, and not made again."""

import time
from collections.abc import Sequence
from functools import partial

from cfclip.io import named
from cfclip.optim import Progress
from cfclip.training import RunCallback
from cfclip_benchmark.avatars import RULER_VERSION, Case, Instruments, Subject
from cfclip_benchmark.benchmark import Benchmark
from cfclip_benchmark.candidates import rendered
from cfclip_benchmark.measured_edits import RowLog


def read_rows_anew(
    benchmark: Benchmark,
    cases: Sequence[Case],
    rows: RowLog,
    subjects: Sequence[Subject],
    instruments: Instruments,
    callback: RunCallback | None,
) -> int:
    """Read every row of another ruler by this one; returns how many are left.

    Args:
        benchmark: whose generator renders them; rows of other avatars than its own stay.
        cases: of the benchmark.
        rows: to read and to add to.
        subjects: by number of the avatar.
        instruments: what reads.
        callback: called after each row; returning False ends it with what there is.

    Raises:
        InputError: a row whose offset renders nothing, or rows that cannot be written.
    """
    by_key = {(case.edit.prompt, case.avatar): case for case in cases}
    todo = [r for r in rows.rows if r.ruler != RULER_VERSION and r.avatar < benchmark.images]
    began = time.monotonic()
    for number, row in enumerate(todo, 1):
        case, subject = by_key[row.key[1:]], subjects[row.avatar]
        if row.offset is None:
            raise ValueError(f"the row of {row.key} keeps no offset")
        remedy = "the line is damaged; remove it, and its edit is made again"
        with named(f"the row of {row.method} for {row.prompt!r}, avatar {row.avatar}", remedy):
            at_strength = partial(rendered, row.offset, benchmark.session, subject)
            anew = instruments.read_anew(row, case, subject, at_strength)
        rows.append([anew])
        left = (time.monotonic() - began) / number * (len(todo) - number)
        progress = Progress(number, len(todo), {}, left)
        if callback is not None and callback(progress) is False:
            return len(todo) - number
    return 0
