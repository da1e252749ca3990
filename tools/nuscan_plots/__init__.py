"""Reads and plots the chi^2 surfaces of nuscan.

    import nuscan_plots
    surface = nuscan_plots.load("vector.h5")
"""

from .errors import NuscanError
from .surface import Axis, Contour, Intervals, MassCurve, Profile, Surface, load

__all__ = ["Axis", "Contour", "Intervals", "MassCurve", "NuscanError", "Profile", "Surface", "load"]
