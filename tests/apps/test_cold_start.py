"""What an edit with the pack of the project imports: no library that it can do without.

Each of these takes longer to import than several steps of the edit.
"""

import subprocess
import sys
from pathlib import Path

import pytest

SLOW_TO_IMPORT = {
    *("torch._dynamo", "torch._inductor", "sympy", "torchvision", "timm", "open_clip"),
    *("transformers", "huggingface_hub", "kornia", "matplotlib", "pytorch_optimizer", "scipy"),
    *("accelerate", "gradio", "pyarrow", "ray", "ftfy"),
}


@pytest.mark.parametrize("method", ["optimisation", "styleclip-optimisation"])
def test_an_edit_imports_nothing_slow_but_torch(method: str, tmp_path: Path) -> None:
    command = ["edit", "sample:7", "green hair", "--steps", "2", "--out", str(tmp_path)]
    code = f"""
import sys
from cfclip.apps.cli import main
code = main({[*command, "--method", method, "--quiet"]!r})
print(code, *sorted({SLOW_TO_IMPORT!r} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "0", run.stderr
    assert list(tmp_path.glob("*.png"))
