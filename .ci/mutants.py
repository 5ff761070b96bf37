"""Print how many of mutmut's mutants the tests kill, by package."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path

from mutmut.stats import status_by_exit_code

KILLED = {"killed", "timeout", "segfault"}
ROOT = Path("mutants/imbalnet")


def main() -> None:
    """Print a table of the mutants that were tried, were killed, and survived."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for path in sorted(ROOT.rglob("*.meta")):
        package = path.relative_to(ROOT).parts[0].removesuffix(".py.meta")
        for code in json.loads(path.read_text())["exit_code_by_key"].values():
            found[package][status_by_exit_code[code]] += 1
    print(f"{'package':15} {'tried':>6} {'killed':>6} {'survived':>8} {'score':>6}")
    for package, counts in found.items():
        tried = counts.total() - counts["not checked"]
        killed = sum(counts[status] for status in KILLED)
        if tried:
            left = tried - killed
            print(f"{package:15} {tried:6} {killed:6} {left:8} {killed / tried:6.1%}")


if __name__ == "__main__":
    main()
