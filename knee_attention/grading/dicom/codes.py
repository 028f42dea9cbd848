"""The private codes of a report, for concepts that DICOM and SNOMED do not code.

No standard scheme has a code for the Kellgren-Lawrence grade. The private scheme `99KNEEATT`
(PS3.16 section 8: private designators begin with 99) has:

| code value | meaning | used as |
|---|---|---|
| KL | Kellgren-Lawrence grade | name of an evaluation |
| KL0 KL1 KL2 KL3 KL4 | Kellgren-Lawrence grade 0 (none), ... 4 (severe) | its value |
| P0 P1 P2 P3 P4 | Probability of Kellgren-Lawrence grade 0, ... 4 | name of a measurement, 0 to 1 |
| MEAN | Mean Kellgren-Lawrence grade under the probabilities | name of a measurement, 0 to 4 |
| OA | Probability of Kellgren-Lawrence grade 2 or higher | name of a measurement, 0 to 1 |
| LOWEST | Lowest Kellgren-Lawrence grade of the prediction set | name of a measurement, 0 to 4 |
| HIGHEST | Highest Kellgren-Lawrence grade of the prediction set | the same |
| COVERAGE | Share of knees whose set holds the true grade | name of a measurement, 0 to 1 |
| ATTENTION | Attention mask of a network, 0 to 1 | quantity of a Parametric Map |
| *output* | Output *output* of the network | method of a measurement: att0, att1, att2, ... |
| ensemble | All outputs, averaged before the softmax | method of a measurement |
| USE, RESEARCH | Intended use: Research use only, not a medical device | an evaluation, its value |
| DATA, PHANTOMS | Training data: Synthetic phantoms; says nothing about real knees | the same |
| POLARITY, NEGATIVE | Polarity: Photographic negative, turned before grading | the same |
| PIXELS, NOTSQUARE | Pixels of the film: Not square, resampled before grading | the same |
| REVIEW, AGAIN | Review: Look again | the same |
| LIKENESS, UNLIKE | Likeness to the training data: Unlike the knees it learnt from | the same |

"Turned" means inverted. Reports in archives have this meaning, so the text stays.
"""

from pydicom.sr.coding import Code

SCHEME = "99KNEEATT"


def private(value: str, meaning: str) -> Code:
    """A code of the private scheme."""
    return Code(value, SCHEME, meaning)


GRADE = private("KL", "Kellgren-Lawrence grade")
GRADES = [
    private(f"KL{grade}", f"Kellgren-Lawrence grade {grade} ({meaning})")
    for grade, meaning in enumerate(("none", "doubtful", "mild", "moderate", "severe"))
]
PROBABILITIES = [
    private(f"P{grade}", f"Probability of Kellgren-Lawrence grade {grade}") for grade in range(5)
]
MEAN_GRADE = private("MEAN", "Mean Kellgren-Lawrence grade under the probabilities")
OSTEOARTHRITIS = private("OA", "Probability of Kellgren-Lawrence grade 2 or higher")
LOWEST = private("LOWEST", "Lowest Kellgren-Lawrence grade of the prediction set")
HIGHEST = private("HIGHEST", "Highest Kellgren-Lawrence grade of the prediction set")
COVERAGE = private("COVERAGE", "Share of knees whose set holds the true grade")
ATTENTION = private("ATTENTION", "Attention mask of a network, 0 to 1")
ENSEMBLE = private("ensemble", "All outputs, averaged before the softmax")

RESEARCH_USE = (
    private("USE", "Intended use"),
    private("RESEARCH", "Research use only, not a medical device"),
)
PHANTOMS = (
    private("DATA", "Training data"),
    private("PHANTOMS", "Synthetic phantoms; says nothing about real knees"),
)
NEGATIVE = (
    private("POLARITY", "Polarity"),
    private("NEGATIVE", "Photographic negative, turned before grading"),
)
NOT_SQUARE = (
    private("PIXELS", "Pixels of the film"),
    private("NOTSQUARE", "Not square, resampled before grading"),
)
LOOK_AGAIN = (private("REVIEW", "Review"), private("AGAIN", "Look again"))
UNLIKE = (
    private("LIKENESS", "Likeness to the training data"),
    private("UNLIKE", "Unlike the knees it learnt from"),
)


def output(name: str) -> Code:
    """An output of the network as the method of a measurement."""
    return private(name, f"Output {name} of the network")
