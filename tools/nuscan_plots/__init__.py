"""Figures and tables from the surfaces that nuscan writes."""
