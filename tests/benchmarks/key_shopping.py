"""How often owners who shop for a key get false evidence: `python -m tests.benchmarks.key_shopping`.

The strategies of tests/audits/test_key_shopping.py, 10,000 innocent models each, by today's rules and by those before,
which corrected over runs against the same release alone and knew neither first sight nor exploratory plans, or had one
hole each; and what rules inside this software cannot stop.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from tests.audits.test_key_shopping import ALPHA, DAY_ONE, HOLES, KEYS, LIMITS, STRATEGIES, TRIALS, Owner, innocent

SEED = 19
DRAWN = (1, 11, 50)  # keys that are drawn and tested one after the other, by the rule of before


def main() -> None:
    p = innocent(SEED)
    print(f"| strategy, {TRIALS:,} innocent models, alpha {ALPHA} | false evidence |\n| --- | --- |")
    for keys in DRAWN:
        found = (p[:, :keys, 0] <= ALPHA).any(axis=1)
        print(f"| before: {keys} key{'s' if keys > 1 else ''}, each tested in a plan of its own | {found.mean():.2%} |")
    before = [DAY_ONE - timedelta(days=1)] * KEYS
    for strategy in (*STRATEGIES, *LIMITS):
        found = np.mean([strategy(Owner(one, list(before))) for one in p])
        print(f"| {strategy.__name__.replace('_', ' ')} | {found:.2%} |")
    for strategy, hole in HOLES.items():
        found = np.mean([strategy(Owner(one, list(before), holes=frozenset({hole}))) for one in p])
        print(f"| before: {strategy.__name__.replace('_', ' ')} | {found:.2%} |")


if __name__ == "__main__":
    main()
