"""Training of the joint localiser: films, augmentation, network, training, evaluation."""
