"""The sentences that the report on pruning and searches begins with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from analysis.cells.ranking import rank, speed
from analysis.cells.rows import Row, records
from analysis.contract.objectives import OBJECTIVES
from analysis.subjects.pruning.quantities import Study, may_be_best, saving, total
from analysis.subjects.pruning.searches import BatchSearch, Search
from analysis.subjects.pruning.tables import objective_text, size_text, span_text
from analysis.text import counted, escape, listed, significant


def pruning_answer(studies: Sequence[Study], asked: Sequence[str]) -> list[str]:
    """What was pruned and what that saved; ``asked`` are the pruners that the sweeps had, in words."""
    pruned = [cell for study in studies for cell in study.pruned]
    n_cells = sum(len(study.cells) for study in studies)
    if not pruned:
        told = f"No cell was pruned, although {' and '.join(asked)} judged them" if asked else "Pruning was off"
        return [f"{told}: none of {counted(n_cells)} was stopped early."] if n_cells else []
    rounds = sorted({n for cell in pruned if (n := cell.n_rounds) is not None})
    span = f"{rounds[0]} to {rounds[-1]} rounds" if len(rounds) > 1 else "".join(counted(n, "round") for n in rounds)
    after = f" after {span}" if rounds else ""
    with_pruned = [study for study in studies if study.pruned]
    verb = "was" if len(pruned) == 1 else "were"
    said = f"**{len(pruned)} of {counted(n_cells)} {verb} pruned**{after}, {_saved(with_pruned)}."
    return [said, *_trust(with_pruned)]


def _saved(studies: Sequence[Study]) -> str:
    sums = total([saving(study) for study in studies])
    if sums.spent_s is None:
        return "what that saved is unknown, as their rows have no times"
    spent = f"with {significant(sums.spent_s)} s of measurement spent on them"
    if sums.saved.value is None:
        return f"{spent}; what that saved is unknown, as no cell of their studies is complete"
    verb = "saved" if sums.saved.value > 0 else "cost"
    estimate = significant(sums.spent_s + sums.saved.value)
    told = f"{spent}; measured in full, they would have taken an estimated {estimate} s: "
    told += f"pruning {verb} **{significant(abs(sums.saved.value))} s** ({span_text(sums.saved)} s)"
    whole = total([saving(study, "wall_s") for study in studies])
    if sums.share is not None:
        told += f", {100 * sums.share:.0f} % of the measurement time of their studies"
    if whole.saved.value is not None:
        told += f"; {significant(whole.saved.value)} s if whole cells are counted, from set-up to the last check"
    return told


def _trust(studies: Sequence[Study]) -> list[str]:
    verdicts = [may_be_best(study, cell) for study in studies for cell in study.pruned]
    n_known, n_doubt = sum(v is not None for v in verdicts), sum(v is True for v in verdicts)
    if not n_known:
        return []
    if not n_doubt:
        known = (
            "the one known interval does not reach" if n_known == 1 else f"none of {n_known} known intervals reaches"
        )
        return [f"No sign that one of them would have been the best: {known} that of the best complete cell."]
    does = "has an interval that reaches" if n_doubt == 1 else "have intervals that reach"
    return [f"**{n_doubt} of the {n_known}** pruned cells with a known interval {does} that of the best complete cell "
            "of the study: there the pruner may have been wrong."]  # fmt: skip


def search_answer(found: Sequence[Search]) -> list[str]:
    """For each search its best cell, or how large its front is."""
    said = []
    for s in found:
        names = listed([name.replace("_", " ") for name in s.objectives])
        n_of = f"{len(s.cells)} cells" if s.n_asked in (None, len(s.cells)) else f"{len(s.cells)} of {s.n_asked} cells"
        told = f"The search of {escape(s.name)} ({escape(s.sampler)}, {n_of}) for {names}"
        if not s.front.any():
            said.append(f"{told} has no complete cell{' within the limits' if s.limits.asked else ''}.")
        elif len(s.objectives) == 1:
            best = int(s.front.argmax())
            value = objective_text(records(s.cells.iloc[[best]])[0], s.objectives[0])
            title, unit = OBJECTIVES[s.objectives[0]].title.removesuffix(")").split(" (")
            ranking = s.ranking
            word = "found the best" if ranking is not None and ranking.is_first else "ended"
            beside = "" if ranking is None else ranking.undecided(_label_in(s))
            said.append(f"{told} {word} with **{escape(s.labels[best])}**: {title} {value}"
                        f"{f' {unit}' if unit else ''}{f', {beside}' if beside else ''}.")  # fmt: skip
        else:
            of = f"{int(s.candidates.sum())} complete{' within the limits' if s.limits.asked else ''}"
            said.append(f"{told} found **{counted(int(s.front.sum()))} on the Pareto front**, of {of}.")
    return said


def _label_in(search: Search) -> Callable[[Row], str]:
    return lambda row: escape(search.labels[row["position"]])


def batch_answer(found: Sequence[BatchSearch]) -> list[str]:
    """For each setting the fastest batch size and the largest that ran."""
    said = []
    for s in found:
        if s.fastest is None or s.largest is None:
            said.append(f"{escape(s.label)}: the search for the batch size did not finish.")
            continue
        end = "; no size ran out of memory" if s.smallest_oom is None else f"; {s.smallest_oom:,} ran out of memory"
        rate = f"{speed(s.fastest).text} items/s"
        ranking = rank([row for row in s.rows if row["status"] == "complete"], speed)
        is_first = ranking is not None and ranking.is_first
        beside = "" if ranking is None else ranking.undecided(lambda row: f"batch {size_text(row)}")
        word = "the fastest batch size is" if is_first else "the batch size found is"
        told = f"{escape(s.label)}: {word} **{size_text(s.fastest)}** ({rate}{f', {beside}' if beside else ''})"
        said.append(f"{told}, the largest that ran is {size_text(s.largest)}{end}.")
    return said
