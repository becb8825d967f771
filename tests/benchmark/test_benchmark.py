from cfclip_benchmark import quick_edits
from cfclip_benchmark.avatars import read_prompts


def test_quick_takes_one_prompt_of_each_family() -> None:
    edits = read_prompts().test
    quick = quick_edits(edits)
    assert [edit.family for edit in quick] == list(dict.fromkeys(edit.family for edit in edits))
    assert set(quick) <= set(edits)
