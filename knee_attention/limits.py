"""Choices, sizes and limits that several subpackages share."""

GRADES = range(5)
"""The Kellgren-Lawrence scale (1957): 0 none, 1 doubtful, 2 mild, 3 moderate, 4 severe."""

OSTEOARTHRITIS = 2
"""The lowest grade that counts as radiographic osteoarthritis."""

REGRESSION = "regression"
"""Name of the regression output: a grade, not probabilities (joint baseline only)."""

POLARITIES = ("auto", "as-is")
"""Photographic negatives are inverted (auto), or every image stays as it is."""

VIEWS = ("auto", "bilateral", "single", "crop")
"""What an image shows: both knees, one knee, or the crop of a joint; auto detects it."""

DECISIONS = PROBABLE, BALANCED, MEDIAN = ("probable", "balanced", "median")
"""How a grade follows from probabilities, see `evidence.decision`."""

SPLIT_METHODS = ("auto", "middle")
"""Where a film of both knees is cut: in the gap between the legs (auto), or in the middle (section
4)."""

CROPS = ("half", "square", "antony")
"""What is cut out of a film for each knee: half of the film (the paper's way), a square around the
joint (as in the public set), or the crop that Antony's networks take."""

TEST_SHARE, VALIDATION_SHARE = 0.3, 0.1
"""The share of the test set, and the validation set's share of the remaining knees (section 4)."""

FITS = ("stretch", "pad")
"""How a knee is resized: stretched (the paper's way), or in proportion and padded with black."""

EQUALIZATIONS = ("hist", "clahe", "none")
"""Histogram equalisation: of the whole image (the paper's way), by tiles (CLAHE), or none."""

KNEE_SIZE = (320, 224)
"""Height and width of a prepared knee in pixels (section 4)."""

LOCALISER_SIDE = 256
"""Height and width of the joint localiser's input in pixels."""

BOX_KINDS = ("square", "joint")
"""What the boxes of a table enclose: squares like the crops of the public set, or the slightly
larger joint boxes of the public table of OAI films."""

SMALLEST_SIDE = 16
"""The smallest side of an image in pixels; smaller images are refused."""

TYPICAL_SIDE = 16
"""Rows and columns to which a knee is shrunk for its likeness to others. Bones, joint space and
background remain visible.

At 16x16, 95% of the public set's validation knees correlate with its mean training knee by at least
0.81. Halves of films reach at most 0.76; negatives, noise and rotated knees at most 0.65.
"""

DIGEST_BYTES = 4
"""Length of a person's digest. With 3,000 persons in the model file, a calibration on 100 films of
others mistakes one of them for a training person in 7 of 100,000 cases."""

COVERAGE_STEPS = 100
"""Coverages of prediction sets are whole percents, from 1 to 99."""

LARGEST_SIDE = 4096
"""The largest side in pixels that a file may record for its knees. A larger number means a damaged
file, and its masks would fill the memory."""

ATTENTIONS = ("local", "shared", "none")
"""How a branch computes its mask from 16 feature channels. `local`: weights of its own at every
position, as in the paper. `shared`: one 1x1 convolution for all positions. `none`: no mask; the
branch is plain global average pooling."""


def digits(number: float) -> str:
    """The shortest text that `float` reads as exactly this number: 0.5, 1, 0.1234561."""
    return repr(float(number)).removesuffix(".0")
