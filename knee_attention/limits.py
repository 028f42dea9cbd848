"""Choices, sizes and limits that several rooms share."""

POLARITIES = ("auto", "as-is")
"""What to do about photographic negatives: turn them, or leave every image as it is."""

VIEWS = ("auto", "bilateral", "single", "crop")
"""What an image shows: both knees, one, or the crop of a joint; or that is to be found out."""

SPLIT_METHODS = ("auto", "middle")
"""Where a film of both knees is cut: in the gap between the legs, or in the middle (section 4)."""

CROPS = ("half", "square", "antony")
"""What is cut out of a film for a knee: half of the film (the paper's), or its joint alone, as the
public set has it or as Antony's networks take it."""

FITS = ("stretch", "pad")
"""How a knee is brought to a size: stretched (the paper's), or with its proportions, on black."""

EQUALIZATIONS = ("hist", "clahe", "none")
"""How grey values are spread: by the whole histogram (the paper's), by tiles, or not at all."""

KNEE_SIZE = (320, 224)
"""Height and width of a prepared knee in pixels (section 4)."""

LOCALISER_SIDE = 256
"""Height and width in pixels of what the joint localiser takes."""

BOX_KINDS = ("square", "joint")
"""What the boxes of a table are: squares as the crops of the public set, or joint boxes as in the
public table of OAI films, which are a little larger."""

SMALLEST_SIDE = 16
"""An image narrower or lower than this many pixels holds no knee."""

LARGEST_SIDE = 4096
"""No knee has more pixels a side: a file that asks for them is damaged, and the masks of such
images alone would fill the memory."""


def digits(number: float) -> str:
    """The shortest text that `float` reads as this very number: 0.5, 1, 0.1234561."""
    return repr(float(number)).removesuffix(".0")
