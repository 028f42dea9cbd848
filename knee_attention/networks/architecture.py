"""Which networks there are: what `build_model` builds and an `Experiment` may ask for."""

from collections.abc import Sequence

from knee_attention.errors import InputError
from knee_attention.networks.backbones import BACKBONES
from knee_attention.networks.fusions import FUSIONS
from knee_attention.options import LARGEST_SIDE


def check_architecture(
    backbone: str, branches: Sequence[str], fusion: str, image_size: Sequence[int]
) -> None:
    """Refuse what is no network of this project; Keras is not imported for it.

    Args:
        backbone, branches, fusion, image_size: as `build_model` takes them.

    Raises:
        InputError: an unknown name, branches that do not suit the fusion, images too small for
            the backbone, or too large.
    """
    if backbone not in BACKBONES:
        raise InputError(f"expected a backbone of {', '.join(BACKBONES)}. Received: {backbone!r}")
    if fusion not in FUSIONS:
        raise InputError(f"expected a fusion of {', '.join(FUSIONS)}. Received: {fusion!r}")
    chosen = BACKBONES[backbone]
    unknown = [branch for branch in branches if branch not in chosen.taps]
    if bool(branches) != bool(chosen.taps) or unknown or len(set(branches)) != len(branches):
        wanted = f"different branches of {', '.join(chosen.taps)}" if chosen.taps else "no branch"
        raise InputError(f"expected {wanted} for {backbone}. Received: {branches!r}")
    if not FUSIONS[fusion].fewest <= len(branches) <= FUSIONS[fusion].most:
        raise InputError("expected one branch for 'single', several for 'early_fusion' or "
                         "'multi_loss', none for 'dense' or 'joint'. "
                         f"Received: {branches!r} with {fusion!r}")
    if len(image_size) != 2 or not all(isinstance(side, int) for side in image_size):
        raise InputError("expected a height and a width in whole pixels. "
                         f"Received: {image_size!r}")
    height, width = image_size
    if min(height, width) < chosen.smallest:
        raise InputError(f"expected images of at least {chosen.smallest} pixels a side for "
                         f"{backbone}. Received: {height}x{width}")
    if max(height, width) > LARGEST_SIDE:
        raise InputError(f"expected images of at most {LARGEST_SIDE} pixels a side. "
                         f"Received: {height}x{width}")
