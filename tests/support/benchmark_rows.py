"""Rows of a benchmark, all of one prompt, for tests of what is made of rows."""

from cfclip_benchmark import MeasuredEdit


def row(method: str, avatar: int, exact: bool, lost: tuple[str, ...] = ()) -> MeasuredEdit:
    """Of the prompt "green hair"; what is not exact succeeded only if it lost something."""
    figures = dict.fromkeys(
        ("truth_distance", "truth_psnr", "inversion_distance", "inversion_psnr"), 1.0
    )
    return MeasuredEdit(
        method, "green hair", "hair", avatar, success=exact or bool(lost), exact=exact, lost=lost,
        preservation=1.0, psnr_outside=30.0, clip_similarity=0.2, judge_similarity=None,
        seconds=1.0, peak_memory=None, steps=1, stop_reason="completed", **figures,
    )  # fmt: skip
