"""The paper's tables with our results, and the findings beyond them."""
