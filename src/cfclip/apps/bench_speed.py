"""`cfclip bench-speed`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from cfclip.apps.options import FAILED, INTERRUPTED, OK, Output
from cfclip_benchmark.speed import Plan

if TYPE_CHECKING:
    from cfclip_benchmark.speed import Line, Rates


@dataclass(frozen=True, kw_only=True)
class BenchSpeed(Output):
    """Measure how fast this machine edits, trains and inverts, with models of random weights.

    Beside the seconds stands what they cannot fall below: the number of floating point operations,
    by the rate of this machine in a large matrix product or convolution. See docs/PERFORMANCE.md.
    Ctrl-C ends with what has been measured.
    """

    plan: Annotated[Plan, tyro.conf.arg(name="")] = field(default_factory=Plan)

    page: Path | None = None
    """Page whose table between `<!-- measured: speed -->` and `<!-- end -->` is replaced by the
    measured one."""

    def run(self) -> int:
        """Measure each line in a process of its own, then tell the table."""
        from cfclip_benchmark import check_measured_page, put_measured
        from cfclip_benchmark.speed import SPEED_MARK, Line, Rates, measured_lines, speed_table

        if self.page is not None:
            check_measured_page(self.page, SPEED_MARK)
        console, lines, failed = self.console, list["Line"](), list[str]()
        rates, interrupted = None, False
        try:
            with console.progress("measuring") as update:
                for each in measured_lines(self.plan, update):
                    if isinstance(each, Rates):
                        rates = each
                    elif isinstance(each, Line):
                        lines.append(each)
                        console.note(f"{each.work}, {each.way}: {each.seconds:.3g} s")
                    else:
                        failed.append(f"{each.work}, {each.way}: {each.reason}")
                        console.warning(failed[-1])
        except KeyboardInterrupt:
            interrupted = True
        if rates is not None and lines:
            table = speed_table(self.plan, rates, lines)
            console.result(self._content(rates, lines), *table.splitlines())
            if self.page is not None and not interrupted and not failed:
                put_measured(self.page, SPEED_MARK, table)
        if interrupted:
            console.error(f"interrupted; {len(lines)} of {len(self.plan.tasks)} lines are measured")
            return INTERRUPTED
        if failed:
            console.error(f"{len(failed)} lines could not be measured: {'; '.join(failed)}")
            return FAILED
        return OK

    def _content(self, rates: "Rates", lines: Sequence["Line"]) -> dict[str, object]:
        return {
            **asdict(self.plan),
            **asdict(rates),
            "lines": [{**asdict(line), "share": line.share} for line in lines],
        }
