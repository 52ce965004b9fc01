"""What no report says, whatever was found; and how surely this one would have found something."""

from audits.report.facts import ReportFacts

GENERAL_LIMITATIONS: tuple[tuple[str, str], ...] = (
    (
        "What a positive finding means.",
        "Evidence means that the suspect's answers depend on the secret of the named release, that is on that one "
        "copy, more than chance allows. It does not say how the model came to depend on it. Licensed use, a resale by "
        "the recipient, distillation (training on the answers of another model that had seen the copy) and a leaked "
        "key are other explanations, and this test cannot tell them apart.",
    ),
    (
        "What a negative finding means.",
        "“No evidence” is no acquittal. A model may have been trained on the copy too briefly, on too few of its "
        "marked images, or in a way that leaves no trace which this test can see.",
    ),
    (
        "What p is not.",
        "p is not the probability that the suspect never saw the release, and one minus p is not the probability "
        "that it did. p limits how often chance alone would give such a result.",
    ),
    (
        "What the test leaves open.",
        "It does not say how many images of the copy were used, when, by whom, or whether that was lawful. The "
        "digests identify files; they do not prove who owns the images.",
    ),
    (
        "Secrecy.",
        "The error rate holds if the key stayed secret until the suspect had been trained, and if the references "
        "never saw the release. The references' origin is declared, not proven; p without them stands beside p with "
        "them for that reason.",
    ),
    (
        "Times.",
        "The times in this report are those of the clock of the server that issued it; no independent timestamp "
        "authority has confirmed them.",
    ),
)

NO_FORECAST = (
    "How likely this test was to find a trace if there had been one has not been forecast: that needs pilot "
    "runs on marked and unmarked twins of the dataset, and none stand behind this report. The weight of a finding "
    "other than evidence is therefore unknown."
)
_AFTER = 2  # general limitations come before that of power


def general_limitations(facts: ReportFacts) -> list[tuple[str, str]]:
    """What holds for every report, and how surely this test would have found a trace."""
    power = (
        "How likely this test was to find a trace if there had been one was tried beforehand on small models that "
        f"learnt from marked and from unmarked images of the dataset. {' '.join(facts.pilots)}"
        if facts.pilots
        else NO_FORECAST
    )
    said = [*GENERAL_LIMITATIONS[:_AFTER], ("Power.", power), *GENERAL_LIMITATIONS[_AFTER:]]
    if facts.plan.test != "choice":
        return said
    return [(title, text.replace("its marked images", "its images")) for title, text in said]
