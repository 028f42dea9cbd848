"""The paper's tables and the findings, with our numbers beside the paper's."""
