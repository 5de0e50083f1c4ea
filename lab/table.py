#!/usr/bin/env python3
"""The table of wrong kernels, from the verdicts that verdicts.sh left: table.py LAB VERDICTS"""

import json
import sys
from pathlib import Path

# Failures that are the kernel's own words or end: they tell that something is wrong, not what.
CRASHES = {
    "kernel panic", "kernel oops", "kernel BUG", "kernel warning", "bad page", "stalled CPU",
    "soft lockup", "hung task", "the guest's end", "kernel log", "died", "hung", "bad counter",
    "file system error", "out of memory", "I/O error",
}


def failures(path):
    """What failed in a run: {(case, name of the failure): detail}."""
    run = json.loads(path.read_text())
    found = {}
    for told in run["cases"]:
        judged = told["judged"]
        if judged and judged["verdict"] == "fail":
            for failure in judged["failures"]:
                found.setdefault((told["case"]["case"], failure["wrong"]), failure["detail"])
    return found


def header(patch):
    """The lines of a patch before its `---`, as a dictionary."""
    lines = patch.read_text().split("---\n")[0].splitlines()
    return dict(line.split(": ", 1) for line in lines)


def told(found):
    """The names of the failures, each with its cases: the first two, and how many more."""
    by_name = {}
    for case, wrong in found:
        by_name.setdefault(wrong, []).append(case)
    parts = []
    for wrong, cases in sorted(by_name.items(), key=lambda pair: (pair[0] in CRASHES, -len(pair[1]))):
        more = f" and {len(cases) - 2} more" if len(cases) > 2 else ""
        parts.append(f"**{wrong}** ({', '.join(f'`{case}`' for case in cases[:2])}{more})")
    return "; ".join(parts)


def main():
    lab, verdicts = Path(sys.argv[1]), Path(sys.argv[2])
    known = failures(verdicts / "unmodified.json")
    print((lab / "wrong-kernels.head.md").read_text())
    print("| kernel | class | what is wrong in it | caught by |")
    print("|---|---|---|---|")
    named = crashed = missed = 0
    for patch in sorted((lab / "wrong").glob("*.patch")):
        path = verdicts / f"{patch.stem}.json"
        if not path.exists():
            continue
        about = header(patch)
        new = {key: detail for key, detail in failures(path).items() if key not in known}
        if not new:
            missed += 1
            by = "not caught"
        else:
            by = told(new)
            if all(wrong in CRASHES for _, wrong in new):
                crashed += 1
                by += " (the kernel's own words alone)"
            else:
                named += 1
        print(f"| `{patch.stem}` | {about['Class']} | {about['Wrong']} | {by} |")
    print(f"\nCaught by a check that names what went wrong: {named}; by the kernel's own words "
          f"alone: {crashed}; not caught: {missed}.")
    print("\n## The forms of the check\n")
    print("| kernel | the check in `folio_migrate_mapping` | failures that the unmodified kernel has not |")
    print("|---|---|---|")
    print(f"| `unmodified` | the freeze alone (since 5.16) | it is what the others are compared with; "
          f"its own: {len(known)} |")
    for patch in sorted((lab / "forms").glob("*.patch")):
        path = verdicts / f"{patch.stem}.json"
        if path.exists():
            new = {key: detail for key, detail in failures(path).items() if key not in known}
            print(f"| `{patch.stem}` | {header(patch)['Wrong']} | {told(new) or 'none'} |")


main()
