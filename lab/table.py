#!/usr/bin/env python3
"""The page of wrong kernels, from the verdicts that verdicts.sh left: table.py LAB VERDICTS PAGE

PAGE is the page as it was: a kernel that has no verdict now keeps what is said of it there. What is not made
from verdicts is in LAB/wrong-kernels.head.md.
"""

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
# How the last cell begins where nothing names the mistake, where nothing fails, and without any run.
BY_OTHERS, MISSED, NOTHING = "not by name:", "not caught", "no verdict yet"
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


def last_cells(page):
    """The last cell of each row of the tables, by its kernel."""
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    return {row.split("`")[1]: row.strip("| ").split(" | ")[-1] for row in rows}


def caught(path, known):
    """What a run found that the unmodified kernel has not, as the last cell says it."""
    new = [key for key in failures(path) if key not in known]
    wrongs = {wrong for _, wrong in new}
    by = told(new)
    if not wrongs & NAMED and sum(wrong in CHANCE for _, wrong in new) <= FEW:
        if wrongs - CHANCE:
            by = f"{BY_OTHERS} {by}"
        else:
            by = f"{MISSED} ({by})" if by else MISSED
    if "stopped by" in path.with_suffix(".txt").read_text():
        by += " (the run was stopped before its end)"
    return by


def new_ones(path, known):
    """What a run found that the unmodified kernel has not."""
    return told([key for key in failures(path) if key not in known]) or "none"


def counted(cells):
    """How the kernels were caught, in a sentence."""
    cells = list(cells)
    others = sum(cell.startswith(BY_OTHERS) for cell in cells)
    missed = sum(cell.startswith(MISSED) for cell in cells)
    without = cells.count(NOTHING)
    named = len(cells) - others - missed - without
    return (f"Caught by a check that names what went wrong: {named}; by the kernel's own words or the "
            f"machine's end alone: {others}; not caught: {missed}; without a verdict: {without}.")


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
    lab, verdicts, page = (Path(arg) for arg in sys.argv[1:])
    before = last_cells(page.read_text()) if page.exists() else {}
    kept = []

    def cell(name, new):
        """The last cell of a kernel's row: from its verdict, or else as it was."""
        path = verdicts / f"{name}.json"
        if is_there(path):
            return new(path)
        kept.append(name)
        return before.get(name, NOTHING)

    # As many runs of the unmodified kernel as there are.
    known = {}
    for path in verdicts.glob("unmodified*.json"):
        known |= failures(path)
    wrong = {patch: cell(patch.stem, lambda path: caught(path, known))
             for patch in sorted((lab / "wrong").glob("*.patch"))}
    forms = {patch: cell(patch.stem, lambda path: new_ones(path, known))
             for patch in sorted((lab / "forms").glob("*.patch"))}

    print((lab / "wrong-kernels.head.md").read_text())
    print(f"The last runs set out to try {sizes(verdicts)} cases each.", end=" " if kept else "\n\n")
    if kept:
        names = ", ".join(f"`{name}`" for name in kept)
        print(f"What is said of these kernels is from the runs before: {names}.\n")
    print("| kernel | class | what is wrong in it | caught by |")
    print("|---|---|---|---|")
    for patch, by in wrong.items():
        about = header(patch)
        print(f"| `{patch.stem}` | {about['Class']} | {about['Wrong']} | {by} |")
    print(f"\n{counted(wrong.values())}")
    print("\n## The forms of the check\n")
    print("| kernel | the check in `folio_migrate_mapping` | failures that the unmodified kernel has not |")
    print("|---|---|---|")
    print(f"| `unmodified` | the freeze alone (since 5.16) | it is what the others are compared with; "
          f"its own: {len(known)} |")
    for patch, new in forms.items():
        print(f"| `{patch.stem}` | {header(patch)['Wrong']} | {new} |")


main()
