"""The words in which a report speaks of its test: by permutation of assignments, or by rank among decoy keys."""

from dataclasses import dataclass, replace

from audits.report.facts import ReportFacts, TestName


@dataclass(frozen=True)
class TestWords:
    """own and others name the two sides of a chart; the rest are paragraphs, headings and parts of sentences."""

    own: str
    others: str
    chances: str
    measured: str
    chart_heading: str
    chart_text: str
    scores: str
    scored: str
    compared: str


_MEANS = (
    "Scores and pulls are printed as means over the patterns: single pulls would give away the assignment, and single "
    "scores, the same in every run of a suspect, which pattern of one run is which of another."
)
_SINGLE_SCORES = (  # of earlier versions
    "The pull to the assigned group is printed only as a mean, because single values would give away the assignment."
)
_PERMUTATION = TestWords(
    own="true assignment",
    others="assignments",
    chances="assignments drawn at random give sums of pulls",
    measured="For every pattern and every group the pull was measured. The sum of the pulls under the true assignment "
    "was compared with the same sum under other assignments.",
    chart_heading="The statistic among random assignments",
    chart_text="Each chart shows how often random assignments gave which sum of pulls, and where the true assignment "
    "lies. A true assignment far to the right of the grey bars is what a model trained on the copy shows; one among "
    "them is what chance gives.",
    scores=_MEANS,
    scored="Pattern",
    compared="Permutations",
)
_RANK = TestWords(
    own="true key",
    others="decoy keys",
    chances="decoy keys have a Q with a logarithm (base 10)",
    measured="For the true key and for every decoy key it was measured how its mark changes the suspect's answers, on "
    "the same probes at the same places. Q, how far a key's scores lie from those of all other keys, was computed for "
    "each, and the rank of the true key's Q among those of its decoys gives p.",
    chart_heading="The true key among its decoys",
    chart_text="Each chart shows the logarithm (base 10) of Q: how many decoy keys have which, and where the true key "
    "lies. A true key far to the right of the grey bars is what a model trained on the copy shows; one among them is "
    "what chance gives.",
    scores="Only quantiles over the decoy keys are printed; the true key's own scores stay with the rights-holder.",
    scored="Keys",
    compared="Decoy keys",
)
_CHOICE = TestWords(
    own="true choice",
    others="choices",
    chances="choices drawn at random give sums",
    measured="Images were put into blocks by a public rule, and in every block the key chose one that stayed home; "
    "this changes no pixel. The suspect was asked about random views of all of them, and for every image it was "
    "measured how well it knows it. How much better it knows the published images of a block than the one at home, "
    "summed over all blocks, was compared with the same sum under every other choice that the key could have made.",
    chart_heading="The choice among all choices",
    chart_text="",
    scores="Means over all images alone are printed: single scores would give away which images stayed home.",
    scored="Score",
    compared="Blocks",
)
_VERSIONS = replace(
    _CHOICE,
    measured="Some images of the copy come in one of two versions: a public rule adds to the source, or takes from it, "
    "a faint pattern of the picture's own. For every such picture the key chose which version was published; the other "
    "stayed home. The suspect was asked about random views of both, and for every version it was measured how well it "
    "knows it. How much better it knows the published version of a picture than the one at home, summed over all "
    "pictures, was compared with the same sum under every other choice that the key could have made.",
    scores="Means over all versions alone are printed: single scores would give away which were published.",
)
_MIXED = TestWords(
    own="the key's own",
    others="others",
    chances="what chance gives lies",
    measured=f"Mark sets with groups: {_PERMUTATION.measured} Plain mark sets: {_RANK.measured}",
    chart_heading="The statistics beside what chance gives",
    chart_text=f"For mark sets with groups: {_PERMUTATION.chart_text} For plain mark sets: {_RANK.chart_text}",
    scores=f"{_PERMUTATION.scores} Of plain marks only quantiles over the decoy keys are printed; the true key's own "
    "scores stay with the rights-holder.",
    scored="Pattern or keys",
    compared="Compared",
)
WORDS: dict[TestName, TestWords] = {"permutation": _PERMUTATION, "rank": _RANK, "mixed": _MIXED, "choice": _CHOICE}


def words_of(facts: ReportFacts) -> TestWords:
    """Those of the plan's test; reports of earlier versions printed the scores of single patterns."""
    words = WORDS[facts.plan.test]
    choice = _VERSIONS if facts.has_versions else _CHOICE
    if facts.plan.test == "choice":
        return choice
    if facts.plan.views:
        both = {name: f"{getattr(words, name)} {getattr(choice, name)}" for name in ("measured", "scores")}
        return replace(words, **both)
    if all(score.pattern == "mean" or score.pattern.startswith("decoys") for score in facts.scores):
        return words
    return replace(words, scores=words.scores.replace(_MEANS, _SINGLE_SCORES))
