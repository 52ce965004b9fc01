"""What the terms of a report mean, and where docs/method.md says more."""

from audits.report.facts import ReportFacts

DEFINITIONS: tuple[tuple[str, str], ...] = (
    ("Dataset, version", "A collection of images under one name; a version is its unchangeable state at one time."),
    (
        "Manifest, root",
        "The list of every file of a version with its SHA-256; the root is one digest over that whole list (a Merkle "
        "root after RFC 6962). Change one byte of one file and the root changes.",
    ),
    (
        "Digest",
        "A SHA-256 value: 64 hexadecimal digits that identify a sequence of bytes. Two different sequences with the "
        "same digest are not known to exist.",
    ),
    ("Key", "32 random bytes, kept secret, from which everything hidden about one release's mark is derived."),
    (
        "Commitment",
        "A digest over the key, the mark settings, the root and a random salt, recorded before the release was made. "
        "It shows later that the key was not chosen afterwards.",
    ),
    (
        "Beacon",
        "Randomness recorded after the commitment and mixed into every derivation, so that nobody can search for a "
        "key which some existing model happens to favour. Where its source is the server's own random generator, this "
        "rests on whoever runs the server.",
    ),
    (
        "Mark, pattern",
        "A small keyed change to some images of a release. With associated marks there are as many patterns as groups.",
    ),
    ("Group", "A part of the images, such as one class, or the images whose caption contains one word."),
    ("Assignment", "The secret of the release: which pattern marks the images of which group."),
    ("Release, recipient", "One marked copy of a version, made with its own key for one named recipient."),
    ("Suspect", "The model under test. Reference: a model declared never to have seen the release."),
    ("Probe", "An image that is shown to the suspect with and without a pattern. Probes are unmarked in the release."),
    (
        "Level",
        "What of the model's answer is measured: its features (numbers inside the model), its soft labels "
        "(probabilities) or its hard labels (the answer alone).",
    ),
    (
        "Pull",
        "How much nearer a pattern moves the suspect's answers to its answers on the images of one group.",
    ),
    (
        "Permutation test",
        "The sum of the pulls under the true assignment is compared with the same sum under other assignments, drawn "
        "at random. A model that never saw the release cannot tell them apart.",
    ),
    (
        "p",
        "The share of assignments (the true one counted in) that do at least as well as the true one. If the suspect "
        "never saw the release, p falls to a value x or below in at most a share x of all cases. p is not the "
        "probability that the suspect is innocent.",
    ),
    ("Alpha", "The limit for p that the plan fixed beforehand."),
    (
        "Corrected p",
        "p after the correction for testing several releases, levels, runs or copies together: the more tests, the "
        "larger.",
    ),
    (
        "Smallest reachable p",
        "The smallest p that the plan could have given, set by the number of assignments compared.",
    ),
    (
        "Density scores",
        "Four measures of how marked answers lie beside unmarked ones: density gain (marked answers huddle together), "
        "divergence (the two differ as distributions), displacement (how far a mark moves an answer) and coherence "
        "(whether all move the same way). They describe; only p decides.",
    ),
    ("Plan", "All parameters of the test, frozen and hashed (locked) before the suspect was asked anything."),
    ("Evidence log", "The record of every act, each row carrying the digest of the row before it."),
)

# In place of the definitions of the same place that speak of assignments; None leaves one out.
_OF_RANK_TEST: dict[str, tuple[str, str] | None] = {
    "Mark, pattern": (
        "Mark, pattern",
        "A small keyed change to some images of a release; here all bear the same pattern.",
    ),
    "Group": None,
    "Assignment": (
        "Plain mark",
        "One pattern on images of any kind. The secret of the release is the key that the pattern follows from.",
    ),
    "Pull": (
        "Decoy key",
        "A key drawn for this audit alone, after the plan was locked, in the same way as the true key. No image was "
        "ever released with its mark.",
    ),
    "Permutation test": (
        "Rank test",
        "The true key is ranked among its decoys by Q, which says how far a key's scores lie from those of all other "
        "keys. A model that never saw the release cannot tell the true key from a decoy.",
    ),
    "p": (
        "p",
        "The share of keys (the true one counted in) that stand out at least as much as the true one. If the suspect "
        "never saw the release, p falls to a value x or below in at most a share x of all cases, whether or not the "
        "plan's stop ended the test early. p is not the probability that the suspect is innocent.",
    ),
    "Smallest reachable p": (
        "Smallest reachable p",
        "The smallest p that the plan could have given, set by the number of decoy keys.",
    ),
}


_VIEW = (
    "A random crop of an image, resized back, turned, recoloured or blurred as learners do it; the same ones for all "
    "images and models. {itself} is never shown to the suspect."
)
_OF_CHOICE = (
    (
        "Keyed choice",
        "Images are put into blocks by a public rule, before any key is drawn; in every block the key chooses one that "
        "stays home, every one with the same chance. That choice is the secret.",
    ),
    ("View", _VIEW.format(itself="The image itself")),
    (
        "Test of the choice",
        "How much better the suspect knows the published images of a block than the one that stayed home, summed over "
        "all blocks, is compared with the same sum under every choice that the key could have made. A model that never "
        "saw the release cannot tell them apart. p is exact: no choice is left out, none is drawn at random, unless "
        "the plan lets the most telling of several scores count.",
    ),
)
_OF_VERSIONS = (
    (
        "Two versions of a picture",
        "A public rule makes both from the source: a faint, smooth pattern that follows from the source's digest is "
        "added for one and taken away for the other. The source is neither of them.",
    ),
    (
        "Keyed choice",
        "Of every picture that comes in two versions the key chooses the one that is published, each with the same "
        "chance; the other stays home. That choice is the secret.",
    ),
    ("View", _VIEW.format(itself="A version itself")),
    (
        "Test of the choice",
        "How much better the suspect knows the published version of a picture than the one that stayed home, summed "
        "over all pictures, is compared with the same sum under every choice that the key could have made. A model "
        "that never saw the release cannot tell them apart. p is exact: no choice is left out, none is drawn at "
        "random, unless the plan lets the most telling of several scores count.",
    ),
)
_OF_CAPTIONS = (
    "Density to the own caption",
    "How close the suspect puts the views of an image to that image's caption, both read by its own two towers. "
    "Captions went into the confined process of the model alone, and none is printed here.",
)
_P_OF_CHOICE = (
    "p",
    "The chance that a choice drawn at random does at least as well as the true one. If the suspect never saw the "
    "release, p falls to a value x or below in at most a share x of all cases. p is not the probability that the "
    "suspect is innocent.",
)
_P_WITH_CHOICES = (
    "The share of assignments, or for {way} of choices that the key could have made (the true one counted in), that do "
    "at least as well as the true one. If the suspect never saw the release, p falls to a value x or below in at most "
    "a share x of all cases, and so does the p that combines several mark sets. p is not the probability that the "
    "suspect is innocent."
)
_OF_UNMARKED = {
    "p": _P_OF_CHOICE[1],
    "Release, recipient": "One copy of a version, made with its own key for one named recipient.",
    "Smallest reachable p": "The smallest p that the plan could have given, set by the number of choices that the key "
    "could have made.",
}
_ONLY_OF_MARKS = ("Mark, pattern", "Group", "Assignment", "Probe", "Pull", "Permutation test", "Density scores")


_OF_LEVELS = (
    "Primary, secondary level",
    "A primary level may decide the finding, a secondary one never does. The plan says which is which before the run.",
)
_OF_SETS = (
    "Mark set",
    "One of several marks that a release bears, each with patterns, images and a secret of its own, drawn "
    "independently of the others'. Their p-values are combined by Fisher's method: how often would independent p have "
    "as small a product by chance?",
)
_P_OF_BOTH = (
    "p",
    "The share of assignments, or for plain mark sets of keys (the true one counted in), that do at least as well as "
    "the true one. If the suspect never saw the release, p falls to a value x or below in at most a share x of all "
    "cases, and so does the p that combines several mark sets. p is not the probability that the suspect is innocent.",
)


_METHOD = (
    "Method",
    "The theory of the test in numbered sections: the file docs/method.md of the software that made this report, in "
    "the code version that stands here.",
)
# Where the method says more about a term.
SECTIONS = {
    "Key": "2.2",
    "Commitment": "2.1",
    "Beacon": "2.1",
    "Mark, pattern": "2.4",
    "Group": "2.3",
    "Assignment": "2.3",
    "Plain mark": "2.3",
    "Suspect": "6.9",
    "Probe": "6.6",
    "Level": "3.1",
    "Primary, secondary level": "6.2",
    "Pull": "3.4",
    "Permutation test": "4",
    "Decoy key": "5.1",
    "Rank test": "5.4",
    "Mark set": "7",
    "p": "10.2",
    "Corrected p": "6.2",
    "Smallest reachable p": "6.1",
    "Density scores": "3.3",
    "Plan": "6.1",
    "Evidence log": "10.5",
    "Two versions of a picture": "12.11",
    "Keyed choice": "12",
    "View": "12.5",
    "Test of the choice": "12.7",
    "Density to the own caption": "12.6",
}


def definitions(facts: ReportFacts) -> list[tuple[str, str]]:
    """The terms that this report uses, each with the section of docs/method.md that says more."""
    cited = [(term, f"{text} (Method, {SECTIONS[term]})" if term in SECTIONS else text) for term, text in _terms(facts)]
    return [_METHOD, *cited]


def _terms(facts: ReportFacts) -> list[tuple[str, str]]:
    found = list(DEFINITIONS)
    if facts.plan.test == "rank":
        ours = [_OF_RANK_TEST.get(term, (term, meaning)) for term, meaning in DEFINITIONS]
        found = [pair for pair in ours if pair is not None]
    elif facts.plan.test == "mixed":
        own = [_OF_RANK_TEST[term] for term in ("Assignment", "Pull", "Permutation test")]
        found = _after(found, "Permutation test", *(pair for pair in own if pair is not None))
        found = [_P_OF_BOTH if term == "p" else (term, meaning) for term, meaning in found]
    elif facts.plan.test == "choice":
        found = [pair for pair in found if pair[0] not in _ONLY_OF_MARKS]
        found = [(term, _OF_UNMARKED.get(term, meaning)) for term, meaning in found]
    if facts.plan.views and facts.plan.test == "permutation":
        p = _P_WITH_CHOICES.format(way=facts.choice.way)
        found = [(term, p if term == "p" else meaning) for term, meaning in found]
    if facts.plan.views:
        found = _after(found, "Level", *(_OF_VERSIONS if facts.has_versions else _OF_CHOICE))
    if any(one.score == "caption" for one in facts.memberships):
        found = _after(found, "View", _OF_CAPTIONS)
    if facts.plan.primary_levels:
        found = _after(found, "Level", _OF_LEVELS)
    if any(len(release.mark_sets) > 1 for release in facts.releases):
        found = _after(found, "Release, recipient", _OF_SETS)
    return found


def _after(found: list[tuple[str, str]], term: str, *more: tuple[str, str]) -> list[tuple[str, str]]:
    place = [name for name, _ in found].index(term) + 1
    return [*found[:place], *more, *found[place:]]
