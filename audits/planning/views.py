"""The choices of a plan that tests keyed choices, as `audits.planning.choices` takes them."""

from audits.planning.declaration import Bounds, Choice, Frozen, Option, Part, Shown, either
from audits.planning.exposure import MOST_KEPT
from audits.statistics.looks import EARLY, MOST_LOOKS
from provenance.wording import count

FEWEST_VIEWS, MOST_VIEWS = 2, 64
LEAST_CROP = 0.05  # share of the area
SCORES = {
    "density": "how alike the answers to its views are",
    "confidence": "how sure the answers are (soft labels; elsewhere how alike they are)",
    "caption": "how close the answers come to the image’s own caption (features of a model with a text tower; "
    "elsewhere how alike they are)",
    "omnibus": "the most telling of all that there are",
}

VIEWS = Choice(
    Part.CHOICES,
    "Views of every image",
    "For images that stayed home, or come in two versions: a model is asked about so many random crops of every one, "
    "never about the image itself.",
    option=Option("--views", "keyed choices: views of every image (default %(default)s)"),
    frozen=Frozen("views"),
    shown=Shown("Views of every image", count),
    bounds=Bounds(FEWEST_VIEWS, MOST_VIEWS, refusal=f"Ask about {FEWEST_VIEWS} to {MOST_VIEWS} views of every image."),
)
SMALLEST_CROP = Choice(
    Part.CHOICES,
    "Smallest crop",
    "The share of an image that a view shows at least. Milder crops than a learner’s own tell more.",
    option=Option("--smallest-crop", "keyed choices: share of an image that a view shows at least"),
    frozen=Frozen("smallest_crop"),
    shown=Shown("Smallest crop", "{:g} of the image".format),
    bounds=Bounds(LEAST_CROP, 1.0, refusal=f"A view shows a share of {LEAST_CROP} to 1 of its image."),
    beside="views",
)
MEMBERSHIP_SCORE = Choice(
    Part.CHOICES,
    "What tells that a model knows an image",
    "By this what was published is compared with what stayed home; the other scores are shown beside it.",
    option=Option("--membership-score", "keyed choices: what tells that a model knows one"),
    frozen=Frozen("membership_score"),
    shown=Shown("What tells that a model knows an image", SCORES.__getitem__),
    words=SCORES,
)
LOOKS = Choice(
    Part.CHOICES,
    "Looks",
    "Above 1 the run asks in so many equal parts and ends early where p is settled; early looks together cost "
    f"{EARLY:.0%} of alpha.",
    option=Option("--looks", "keyed choices: looks at the result, the run ending early (default %(default)s)"),
    frozen=Frozen("looks"),
    shown=Shown("Looks", count),
    bounds=Bounds(1, MOST_LOOKS, refusal=f"Look at the result 1 to {MOST_LOOKS} times."),
    beside="views",
)
KEPT_SHARE = Choice(
    Part.CHOICES,
    "Share kept for a second audit",
    f"The run does not ask about this share of the blocks, 0 to {MOST_KEPT:g}; which ones is drawn in public, from "
    "commitment and beacon. Whoever answers over an interface has then never seen a view of them.",
    option=Option("--keep-share", "keyed choices: share of the blocks kept for a second audit (default %(default)s)"),
    frozen=Frozen("kept_share"),
    shown=Shown("Share kept for a second audit", "{:g} of the blocks".format),
    bounds=Bounds(0.0, MOST_KEPT, refusal=f"Keep a share of 0 to {MOST_KEPT:g} of the blocks for a second audit."),
)
ASKS_KEPT = Choice(
    Part.CHOICES,
    "This is the second audit",
    "It asks about the blocks that an earlier plan with the same share kept, and about no others.",
    option=Option("--ask-kept", "keyed choices: the second audit, about the blocks that --keep-share keeps"),
    frozen=Frozen("asks_kept"),
    shown=Shown("Blocks asked about", either("those that are not kept", "those that were kept for a second audit")),
    beside="kept_share",
)
