"""Writes expected.json: cases drawn with a fixed seed, and what scikit-learn, scipy and MedPy say of them.

Not part of the tests, which only read the numbers:  pip install scikit-learn scipy medpy && python make_expected.py
"""
import json
import pathlib

import numpy as np
import scipy
import sklearn
from medpy.metric import binary as medpy
from scipy import ndimage, stats
from sklearn import metrics
from sklearn.calibration import calibration_curve

random = np.random.default_rng(20260101)


def delong(truth, score):
    """AUC and its variance from all pairs (DeLong, DeLong and Clarke-Pearson 1988, equations 4 to 6)."""
    x, y = score[truth == 1], score[truth == 0]
    wins = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
    v10, v01 = wins.mean(axis=1), wins.mean(axis=0)
    return wins.mean(), v10.var(ddof=1) / len(x) + v01.var(ddof=1) / len(y)


def wilson(hits, total):
    ci = stats.binomtest(int(hits), int(total)).proportion_ci(method="wilson")
    return [ci.low, ci.high]


def ece(truth, score, bins=10):
    number = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], score)
    parts = [abs((truth[number == b] - score[number == b]).sum()) for b in range(bins)]
    return sum(parts) / len(truth)


def binary(cases, digits):
    truth = (random.random(cases) < 0.4).astype(int)
    score = np.clip(random.normal(0.4 + 0.25 * truth, 0.2), 0, 1).round(digits)
    area, variance = delong(truth, score)
    assert abs(area - metrics.roc_auc_score(truth, score)) < 1e-12
    half = stats.norm.ppf(0.975) * variance**0.5
    fpr, tpr, at = metrics.roc_curve(truth, score)
    precision, recall, thresholds = metrics.precision_recall_curve(truth, score)
    threshold = 0.5
    answer = (score >= threshold).astype(int)
    tn, fp, fn, tp = metrics.confusion_matrix(truth, answer).ravel()
    observed, mean = calibration_curve(truth, score, n_bins=10)
    return {
        "truth": truth.tolist(),
        "score": score.tolist(),
        "auc": area,
        "auc_interval": [max(area - half, 0), min(area + half, 1)],
        "average_precision": metrics.average_precision_score(truth, score),
        # The first threshold is infinite.
        "roc": [[f, t, None if np.isinf(a) else a] for f, t, a in zip(fpr, tpr, at)],
        # From the highest threshold; without the end point (1, 0), which has none.
        "precision_recall": [[p, r, t] for p, r, t in zip(precision, recall, thresholds)][::-1],
        "threshold": threshold,
        "counts": [int(tp), int(fp), int(tn), int(fn)],
        "sensitivity": [metrics.recall_score(truth, answer), *wilson(tp, tp + fn)],
        "specificity": [metrics.recall_score(1 - truth, 1 - answer), *wilson(tn, tn + fp)],
        "precision": [metrics.precision_score(truth, answer), *wilson(tp, tp + fp)],
        "accuracy": [metrics.accuracy_score(truth, answer), *wilson(tp + tn, cases)],
        "f1": metrics.f1_score(truth, answer),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, answer),
        "youden": float(np.max(tpr - fpr)),
        "brier": metrics.brier_score_loss(truth, score),
        "ece": ece(truth, score),
        "reliability": [observed.tolist(), mean.tolist()],
    }


def classes(cases, n):
    truth = random.integers(0, n, cases)
    logits = random.normal(0, 1, (cases, n))
    logits[np.arange(cases), truth] += 1.3
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    p = np.round(p, 4)
    p[:, -1] = 1 - p[:, :-1].sum(axis=1)
    answer = p.argmax(axis=1)
    one_hot = np.eye(n)[truth]
    return {
        "truth": truth.tolist(),
        "probabilities": p.tolist(),
        "confusion": metrics.confusion_matrix(truth, answer, labels=range(n)).tolist(),
        "accuracy": metrics.accuracy_score(truth, answer),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, answer),
        "cohens_kappa": metrics.cohen_kappa_score(truth, answer),
        "precision": metrics.precision_score(truth, answer, average=None).tolist(),
        "sensitivity": metrics.recall_score(truth, answer, average=None).tolist(),
        "f1": metrics.f1_score(truth, answer, average=None).tolist(),
        "macro_precision": metrics.precision_score(truth, answer, average="macro"),
        "macro_f1": metrics.f1_score(truth, answer, average="macro"),
        "micro_f1": metrics.f1_score(truth, answer, average="micro"),
        "auc": [metrics.roc_auc_score(truth == c, p[:, c]) for c in range(n)],
        "macro_auc": metrics.roc_auc_score(one_hot, p, average="macro"),
        "micro_auc": metrics.roc_auc_score(one_hot, p, average="micro"),
        "brier": float(((p - one_hot) ** 2).sum(axis=1).mean()),
        "ece": ece((truth == answer).astype(int), p.max(axis=1)),
    }


def surface(mask):
    structure = ndimage.generate_binary_structure(mask.ndim, 1)
    return mask & ~ndimage.binary_erosion(mask, structure)


def masks(shape, spacing, centre, radii, shift):
    grid = np.indices(shape).transpose(1, 2, 3, 0) * np.array(spacing)

    def ellipsoid(centre, radii):
        return (((grid - centre) / radii) ** 2).sum(axis=-1) <= 1

    reference = ellipsoid(np.array(centre), np.array(radii))
    answer = ellipsoid(np.array(centre) + shift, np.array(radii) * 1.1)
    answer ^= random.random(shape) < 0.01
    flat = shape[0] == 1
    a, r = (answer[0], reference[0]) if flat else (answer, reference)
    steps = spacing[1:] if flat else spacing
    sa, sr = surface(a), surface(r)
    to_answer = ndimage.distance_transform_edt(~sa, sampling=steps)[sr]
    to_reference = ndimage.distance_transform_edt(~sr, sampling=steps)[sa]
    assert abs(medpy.hd(a, r, voxelspacing=steps) - max(to_answer.max(), to_reference.max())) < 1e-9
    return {
        "shape": shape,
        "spacing": spacing,
        "answer": np.flatnonzero(answer).tolist(),
        "reference": np.flatnonzero(reference).tolist(),
        "dice": medpy.dc(answer, reference),
        "iou": medpy.jc(answer, reference),
        "volume_error_percent": 100 * medpy.ravd(answer, reference),
        # As MONAI: the larger of the two directions' 95th percentiles.
        "hd95": max(np.percentile(to_answer, 95), np.percentile(to_reference, 95)),
    }


expected = {
    "made_with": {"scikit-learn": sklearn.__version__, "scipy": scipy.__version__, "numpy": np.__version__},
    # The second has many ties.
    "binary": [binary(70, 4), binary(90, 1), binary(25, 2)],
    "classes": [classes(60, 4), classes(80, 7), classes(40, 2)],
    "masks": [
        masks((9, 18, 20), [2.5, 0.8, 0.7], [10, 7, 7], [6, 4, 4], [1.0, 0.8, -0.5]),
        masks((12, 12, 12), [1.0, 1.0, 1.0], [6, 6, 6], [4, 3, 5], [0.0, 2.0, 1.0]),
        masks((1, 24, 26), [1.0, 0.5, 0.4], [0, 6, 5], [1, 3, 3], [0.0, 0.7, 0.4]),
    ],
}
here = pathlib.Path(__file__).parent
(here / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
