"""From answers to a result: scores, tests per mark set, their combination, and what an auditor may see."""
