"""Values that texts, options and names rarely have."""

from typing import Any


class Raw(str):
    """Text of a JSON or TOML value that no writer would write."""


FIFO, MISSING = "fifo", "missing"
"""A pipe that nobody writes to, and nothing, in the folder of each case."""

LONG = 100_000

PATHS = (
    *("", ".", "..", "/", "~", "~root", "/etc/passwd", "../../../../../../etc/passwd"),
    *("/dev/zero", "/dev/stdin", "/dev/tty", "/proc/self/mem", "/proc/self/environ"),
    *(FIFO, MISSING, "tiny", "tiny/pack.toml", "faces", "loop", "dangling", "locked"),
    *("a/" * 3000, "a" * 300, "a" * 5000, "nul\0byte", "\x1b[2Jname", "new\nline", "\udcff"),
    *("http://127.0.0.1:9/a.png", "https://localhost/a", "ftp://127.0.0.1/a", "file:///etc/passwd"),
    *("hf-hub:a/b", "local-dir:/etc", "sample:1", "sample:1-99999999999", "sample:-1", "//a/b"),
    *("\u202egnp.a", "con", "a\\b", "*", "[", "**/*", "-", "--", "=", "a=b", ":", "a:b"),
)

TEXTS = (
    *(
        "",
        " ",
        "\t",
        "\0",
        "\n",
        "\r\n",
        "\x1b[31m",
        "\x1b]0;title\x07",
        "\x9b2J",
        "\u202e",
        "\u200b",
    ),
    *("\ufeff", "\u2028", "\ud800", "\U0001f600", "e\u0301" * 200, "\u0301" * 2000, "a" * 300),
    *("green " * 2000, "a" * LONG, "%s%n{}{0.__class__}", "$(touch x)", "`id`", "<script>", "{}"),
    *("nan", "inf", "-inf", "1e999", "0x10", "1_000", "１", "true", "null", "None", "[]", "\\"),
    *("-1", "--out", "../x", "'", '"', '"""', ",", ";", "#", "a,b", "a=b", "[a]", "\\u0000"),
)

NUMBERS = (
    *(
        "-1",
        "0",
        "1",
        "2",
        "-0",
        "0.5",
        "-0.5",
        "1.0",
        "1e-300",
        "5e-324",
        "1e38",
        "-1e38",
        "1e308",
    ),
    *("1e309", "nan", "inf", "-inf", "NaN", "Infinity", "2147483648", "4294967296", "1e400"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616"),
    *(
        "1" + "0" * 30,
        "9" * 400,
        "9" * 5000,
        "-" + "9" * 5000,
        "1_0",
        "0x7f",
        "１",
        "+1",
        " 1",
        "1e",
    ),
)

OTHERS: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        [],
        {},
        [[]],
        [{}],
        [1, "a", None],
        {"a": 1},
        {"": {}},
        [[[1]]],
        ["a"] * 3,
    ),
    *(list(range(2000)), {str(n): n for n in range(2000)}, ["x", "x", "x"], [[1, 2], [3]]),
)

RAW = tuple(map(Raw, ("9" * 5000, "1e999", "-1e999", "NaN", "Infinity", "-Infinity", "1e400")))
