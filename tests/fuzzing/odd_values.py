"""Values that texts, options and names rarely have."""

from typing import Any


class Raw(str):
    """Text of a JSON or TOML value that no writer would write."""


def words(text: str) -> list[str]:
    """What stands between the spaces of a text."""
    return text.split()


FIFO = "fifo"
"""A pipe that nobody writes to, in the folder of each case."""

_LONG = 100_000

PATHS = (
    *words(". .. / ~ ~root /etc/passwd ../../../../../../etc/passwd //a/b a\\b con * [ **/* - --"),
    *words("/dev/zero /dev/stdin /dev/tty /proc/self/mem /proc/self/environ /dev/full"),
    *words(f"{FIFO} loop dangling missing tiny tiny/pack.toml faces = a=b : a:b"),
    *words("http://127.0.0.1:9/a.png https://localhost/a ftp://127.0.0.1/a file:///etc/passwd"),
    *words("hf-hub:a/b local-dir:/etc sample:1 sample:1-99999999999 sample:-1"),
    *("", "a/" * 3000, "a" * 300, "a" * 5000, "nul\0byte", "\x1b[2Jname", "new\nline", "\udcff"),
    "\u202egnp.a",
)

TEXTS = (
    *("", " ", "\t", "\0", "\n", "\r\n", "\x1b[31m", "\x1b]0;title\x07", "\x9b2J"),
    *("\u202e", "\u200b", "\ufeff", "\u2028", "\ud800", "\U0001f600", "\uff11"),
    *("e\u0301" * 200, "\u0301" * 2000, "a" * 300, "green " * 2000, "a" * _LONG),
    *(
        "%s%n{}{0.__class__}",
        "$(touch x)",
        "`id`",
        "<script>",
        "{}",
        "a,b",
        "a=b",
        "[a]",
        "\\u0000",
    ),
    *words('nan inf -inf 1e999 0x10 1_000 true null None [] \\ -1 --out ../x \' " """ , ; #'),
)

NUMBERS = (
    *words("-1 0 1 2 -0 0.5 -0.5 1.0 1e-300 5e-324 1e38 -1e38 1e308 1e309 1e400 1e"),
    *words("nan inf -inf NaN Infinity 1_0 0x7f \uff11 +1"),
    *words("2147483648 4294967296 9223372036854775807 9223372036854775808"),
    *words("-9223372036854775809 18446744073709551616"),
    *("1" + "0" * 30, "9" * 400, "9" * 5000, "-" + "9" * 5000, " 1"),
)

OTHERS: tuple[Any, ...] = (
    *(None, True, False, [], {}, [[]], [{}], [1, "a", None], {"a": 1}, {"": {}}, [[[1]]]),
    *(list(range(2000)), {str(n): n for n in range(2000)}, ["x", "x", "x"], [[1, 2], [3]]),
)

RAW = tuple(map(Raw, ("9" * 5000, "1e999", "-1e999", "NaN", "Infinity", "-Infinity", "1e400")))
