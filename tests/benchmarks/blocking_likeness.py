"""How alike the images of a block are: by perceptual hashes, by signs of an encoder's features, by chance.

    python -m tests.benchmarks.blocking_likeness --pictures cifar10.zip --weights resnet20-12fca82f.th [--images 10000]

Evenly spaced pictures of a zip, whose last folder is the class. Prints, for blocks of four within classes, the mean
cosine between features (the classifier's last layer before its labels) of the first image of a block and the others,
after the mean of all features was taken away; the encoder is the one that the signs are of.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from audits.suspects import ModelSpec
from audits.suspects.architectures import build
from provenance.blocking.making import Images, make_blocks
from provenance.blocking.rule import BlockRule
from provenance.marks import ImageBlocks
from provenance.marks.directions import prepared, sampled
from provenance.marks.feature_signs import feature_signs
from provenance.near_duplicates.hashing import Records, hashed
from tests.benchmarks.study.images import Labelled, blocks_by_class, cifar

BATCH = 256


def features_of(images: Labelled, weights: Path) -> np.ndarray:
    encoder = build(ModelSpec("cifar_resnet:20"), weights, torch.device("cpu"), 1)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(images.images), BATCH):
            pixels = torch.from_numpy(images.images[start : start + BATCH]).permute(0, 3, 1, 2).float()
            parts.append(encoder.network(encoder.normalise(pixels))[0].numpy())
    return np.concatenate(parts)


def records_of(images: Labelled) -> Records:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.png" for number in range(len(images.images))]
        for path, picture in zip(paths, images.images, strict=True):
            Image.fromarray(picture).save(path)
        return hashed(paths)


def cosine(blocks: ImageBlocks, directions: np.ndarray) -> float:
    found = directions[blocks.first_of_unit[blocks.alternatives]]
    return float(np.einsum("bd,bkd->bk", found[:, 0], found[:, 1:]).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--images", type=int, default=10_000)
    options = parser.parse_args()
    images = cifar(options.pictures, "test", options.images)
    features = features_of(images, options.weights)
    directions = prepared(features, sampled(features, np.arange(len(features)), 1)[1])
    looked_at = Images(
        records_of(images), np.arange(len(features)), images.labels, np.zeros(len(features), dtype=np.int64)
    )
    with_signs = replace(looked_at, signs=feature_signs(features, 1))
    for name, given in (("perceptual hashes", looked_at), ("signs of features", with_signs)):
        blocks = make_blocks(given, BlockRule(distance=0), lambda done, total, phase: None)
        print(f"{name}: {blocks.blocks} blocks, mean cosine {cosine(blocks, directions):.3f}")
    print(f"chance, within classes: {cosine(blocks_by_class(images.labels, 4), directions):.3f}")


if __name__ == "__main__":
    main()
