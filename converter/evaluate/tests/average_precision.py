"""Scenes of boxes and their AP50 by pycocotools, into average_precision.txt beside this file.

    pip install pycocotools==2.0.11 && python average_precision.py
"""

import os
import random

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

SEED, SETS, PICTURES, CLASSES = 7, 12, 10, 4


def box(rng):
    x, y, width, height = (rng.randrange(0, 60), rng.randrange(0, 60), rng.randrange(8, 40), rng.randrange(8, 40))
    return [x, y, x + width, y + height]


def near(rng, of):
    return [corner + rng.randrange(-3, 4) for corner in of]


def scenes(rng):
    for picture in range(PICTURES):
        labels = [(rng.randrange(CLASSES), box(rng)) for _ in range(rng.randrange(5))]
        found = []
        for label, of in labels:
            for _ in range(rng.randrange(3)):
                found.append((label if rng.random() < 0.8 else rng.randrange(CLASSES), near(rng, of)))
        found += [(rng.randrange(CLASSES), box(rng)) for _ in range(rng.randrange(4))]
        # Scores without ties: their order is nobody's business.
        yield picture, labels, [(label, of, rng.random()) for label, of in found]


def ap50(pictures):
    size = lambda of: [of[0], of[1], of[2] - of[0], of[3] - of[1]]
    annotations, results = [], []
    for picture, labels, found in pictures:
        for label, of in labels:
            area = (of[2] - of[0]) * (of[3] - of[1])
            entry = {"image_id": picture, "category_id": label, "bbox": size(of), "area": area, "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, **entry})
        results += [{"image_id": picture, "category_id": label, "bbox": size(of), "score": score} for label, of, score in found]
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": picture} for picture, _, _ in pictures],
        "annotations": annotations,
        "categories": [{"id": label} for label in range(CLASSES)],
    }
    truth.createIndex()
    run = COCOeval(truth, truth.loadRes(results), "bbox")
    run.params.iouThrs = np.array([0.5])
    run.evaluate()
    run.accumulate()
    of_classes = run.eval["precision"][0, :, :, 0, 2]
    return of_classes[:, of_classes[0] > -1].mean()


if __name__ == "__main__":
    rng = random.Random(SEED)
    lines = []
    for _ in range(SETS):
        pictures = list(scenes(rng))
        lines.append(f"set {ap50(pictures):.12f}")
        for _, labels, found in pictures:
            lines.append("picture")
            lines += [f"label {label} {' '.join(map(str, of))}" for label, of in labels]
            lines += [f"found {label} {' '.join(map(str, of))} {score:.6f}" for label, of, score in found]
    path = os.path.join(os.path.dirname(__file__), "average_precision.txt")
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
