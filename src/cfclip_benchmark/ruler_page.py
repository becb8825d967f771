"""What a check of the ruler found, as tables to read, and which limits it misses."""

from collections import defaultdict
from collections.abc import Sequence

from cfclip_benchmark.avatars import ATTRIBUTES, RULER_VERSION
from cfclip_benchmark.measured_edits import ORACLE
from cfclip_benchmark.report import percent
from cfclip_benchmark.ruler_check import (
    FAILED,
    FORGED,
    FORGED_INVERTED,
    PERFECT,
    AvatarVerdicts,
    Verdict,
)

RULER_MARK = "ruler"
# The least share of right verdicts, and that of the worst attribute.
_FORGED = {FORGED: (0.99, 0.95), FORGED_INVERTED: (0.95, 0.90)}
_LIMITS = {PERFECT: (0.99, 0.0), FAILED: (0.995, 0.0), ORACLE: (0.0, 0.0), **_FORGED}
_PERTURBED = (0.97, 0.0)


def ruler_tables(rows: Sequence[AvatarVerdicts]) -> str:
    """Markdown: the shares of right verdicts, by test, by attribute, and by kind of failure."""
    verdicts = _verdicts(rows)
    counted = [count for row in rows for count in row.counted]
    readable = [each.right is not None for each in verdicts[PERFECT]]
    whole = ["| edits | read rightly | of |", "| --- | --- | --- |"]
    whole += [_line(test, own) for test, own in verdicts.items()]
    found = ["| forged attribute | found | through inversion |", "| --- | --- | --- |"]
    for name in ATTRIBUTES:
        cells = (_cell([each for each in verdicts[test] if each.kind == name]) for test in _FORGED)
        found.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    failed = ["| failed edits | no success | of |", "| --- | --- | --- |"]
    kinds = dict.fromkeys(each.kind for each in verdicts[FAILED])
    failed += [
        _line(kind, [each for each in verdicts[FAILED] if each.kind == kind]) for kind in kinds
    ]
    return "\n".join(
        [
            f"Ruler {RULER_VERSION}, {len(rows)} validation avatars, in per cent. Readable are "
            f"{percent(sum(readable) / len(readable))} % of the cases; "
            f"{sum(counted) / len(counted):.2f} attributes count for an edit.",
            *("", *whole, "", *found, "", *failed),
        ]
    )


def missed_limits(rows: Sequence[AvatarVerdicts]) -> list[str]:
    """One line for each limit that the ruler misses."""
    missed = []
    for test, own in _verdicts(rows).items():
        least, worst = _LIMITS.get(test, _PERTURBED)
        if (share := _share(own)) is not None and share < least:
            missed.append(f"{test}: {percent(share)} % are read rightly, {percent(least)} % shall")
        for kind in sorted({each.kind for each in own if worst}):
            share = _share([each for each in own if each.kind == kind])
            if share is not None and share < worst:
                missed.append(
                    f"{test}, {kind}: {percent(share)} % are read rightly, {percent(worst)} % shall"
                )
    return missed


def _verdicts(rows: Sequence[AvatarVerdicts]) -> dict[str, list[Verdict]]:
    """By test."""
    found: dict[str, list[Verdict]] = defaultdict(list)
    for row in rows:
        for each in row.verdicts:
            found[each.test].append(each)
    return found


def _share(verdicts: Sequence[Verdict]) -> float | None:
    """Of right ones among those that can be read; None of none."""
    known = [each.right for each in verdicts if each.right is not None]
    return sum(known) / len(known) if known else None


def _cell(verdicts: Sequence[Verdict]) -> str:
    share = _share(verdicts)
    return "-" if share is None else f"{percent(share)} of {len(verdicts)}"


def _line(name: str, verdicts: Sequence[Verdict]) -> str:
    share = _share(verdicts)
    known = sum(each.right is not None for each in verdicts)
    return f"| {name} | {'-' if share is None else percent(share)} | {known} |"
