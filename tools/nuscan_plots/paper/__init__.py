"""Figures, Table I and statements of arXiv:2208.06415, computed anew and compared."""
