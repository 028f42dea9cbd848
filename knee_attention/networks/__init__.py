"""What is trained: backbones, attention branches, heads."""
