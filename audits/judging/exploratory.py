"""What is said of an exploratory run, which is never evidence (docs/method.md, section 6.8)."""

from __future__ import annotations

from collections.abc import Sequence

from audits.judging.assignments import Conclusion

SMALL: Conclusion = "exploratory_small_p"
NOT_SMALL: Conclusion = "exploratory_no_small_p"
_AS_EXPLORATORY: dict[Conclusion, Conclusion] = {"evidence": SMALL, "no_evidence": NOT_SMALL}
WHY = (
    "The plan declared this run exploratory: its key may have been drawn after the suspect could be tried out, or "
    "chosen after a look, so how small p is says nothing about chance."
)


def exploratory(conclusion: Conclusion) -> Conclusion:
    """The conclusion of an exploratory run that would else have concluded so."""
    return _AS_EXPLORATORY.get(conclusion, conclusion)


def exploratory_sentence(conclusion: Conclusion, suspect: str, recipients: Sequence[str]) -> str:
    """In plain words."""
    copies = " and ".join(f"“{recipient}”" for recipient in recipients)
    about = f"for “{suspect}” and the {'copies' if len(recipients) > 1 else 'copy'} for {copies}"
    found = {SMALL: "a small p", NOT_SMALL: "no small p"}.get(conclusion, "nothing that could be told from chance")
    return f"Exploratory, no evidence: {found} {about}. {WHY}"
