"""How fast the product is, each time beside plain tools that do the same on the same two machines in the same run.

    python -m tests.bench [NAME …] [--repeat N] [--json FILE]

Only ratios within one run are worth anything: seconds depend on the machine. Every figure is the median of a bounded number of repetitions,
ours and theirs taken in turn.
"""
