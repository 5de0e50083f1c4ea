#!/usr/bin/env python3
"""The table of wrong kernels, from the verdicts that verdicts.sh left: table.py LAB VERDICTS"""

import json
import sys
from pathlib import Path

# Failures that say what has become of pages, memory or accounts.
NAMED = {
    "lost write", "stale page", "foreign page", "torn page", "resurrected page", "zeroed page",
    "garbled page", "moved under a pin", "changed under a pin", "changed while written back",
    "stuck page", "miscounted", "wrong permission", "leak", "bad page", "bad counter",
    "file system error",
}
# A case in which no page moves, or that is refused something: on a busy machine that happens by
# chance to a few. To more it happens because the kernel does not move these pages.
CHANCE = {"not reached", "refused"}
FEW = 5
# Everything else is the kernel's own words (a panic, a warning, a hung task), or the machine's end.


def is_there(path):
    """Whether there is a verdict; one that is being reached is an empty file."""
    return path.exists() and path.stat().st_size > 0


def failures(path):
    """What failed in a run: (case, name of the failure), each once, in order."""
    run = json.loads(path.read_text())
    judged = [(told["case"]["case"], told["judged"]) for told in run["cases"] if told["judged"]]
    bad = [(case, its) for case, its in judged if its["verdict"] == "fail"]
    return {(case, failure["wrong"]): None for case, its in bad for failure in its["failures"]}


def sizes(verdicts):
    """How many cases the runs had; a suite that grew meanwhile had fewer in the first ones."""
    runs = [json.loads(path.read_text()) for path in verdicts.glob("*.json") if is_there(path)]
    counts = {run["start"]["cases"] for run in runs if run["start"]}
    return " to ".join(str(count) for count in sorted({min(counts), max(counts)}))


def header(patch):
    """The lines of a patch before its `---`, as a dictionary."""
    lines = patch.read_text().split("---\n")[0].splitlines()
    return dict(line.split(": ", 1) for line in lines)


def rank(wrong):
    """What names the mistake comes first, chance last."""
    return (wrong in CHANCE, wrong not in NAMED)


def told(found):
    """The names of the failures, each with its cases: the first two, and how many more."""
    by_name = {}
    for case, wrong in found:
        by_name.setdefault(wrong, []).append(case)
    parts = []
    for wrong, cases in sorted(by_name.items(), key=lambda it: (rank(it[0]), -len(it[1]))):
        more = f" and {len(cases) - 2} more" if len(cases) > 2 else ""
        parts.append(f"**{wrong}** ({', '.join(f'`{case}`' for case in cases[:2])}{more})")
    return "; ".join(parts)


def main():
    lab, verdicts = Path(sys.argv[1]), Path(sys.argv[2])
    # As many runs of the unmodified kernel as there are.
    known = {}
    for path in verdicts.glob("unmodified*.json"):
        known |= failures(path)
    print((lab / "wrong-kernels.head.md").read_text())
    print(f"Each run set out to try {sizes(verdicts)} cases.\n")
    print("| kernel | class | what is wrong in it | caught by |")
    print("|---|---|---|---|")
    named = other = missed = without = 0
    for patch in sorted((lab / "wrong").glob("*.patch")):
        path = verdicts / f"{patch.stem}.json"
        about = header(patch)
        if not is_there(path):
            without += 1
            print(f"| `{patch.stem}` | {about['Class']} | {about['Wrong']} | no verdict yet |")
            continue
        new = [key for key in failures(path) if key not in known]
        wrongs = {wrong for _, wrong in new}
        by = told(new)
        never = sum(wrong in CHANCE for _, wrong in new)
        if wrongs & NAMED or never > FEW:
            named += 1
        elif wrongs - CHANCE:
            other += 1
            by = f"not by name: {by}"
        else:
            missed += 1
            by = f"not caught ({by})" if by else "not caught"
        if "stopped by" in path.with_suffix(".txt").read_text():
            by += " (the run was stopped before its end)"
        print(f"| `{patch.stem}` | {about['Class']} | {about['Wrong']} | {by} |")
    print(f"\nCaught by a check that names what went wrong: {named}; by the kernel's own words or the "
          f"machine's end alone: {other}; not caught: {missed}; without a verdict: {without}.")
    print("\n## The forms of the check\n")
    print("| kernel | the check in `folio_migrate_mapping` | failures that the unmodified kernel has not |")
    print("|---|---|---|")
    print(f"| `unmodified` | the freeze alone (since 5.16) | it is what the others are compared with; "
          f"its own: {len(known)} |")
    for patch in sorted((lab / "forms").glob("*.patch")):
        path = verdicts / f"{patch.stem}.json"
        if is_there(path):
            new = [key for key in failures(path) if key not in known]
            print(f"| `{patch.stem}` | {header(patch)['Wrong']} | {told(new) or 'none'} |")
        else:
            print(f"| `{patch.stem}` | {header(patch)['Wrong']} | no verdict yet |")


main()
