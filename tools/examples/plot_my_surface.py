"""Own plot of a surface: plot_my_surface.py SURFACE.h5 PICTURE.pdf, for a surface over two axes."""

import sys

import matplotlib.pyplot as plt

import nuscan_plots
from nuscan_plots import draw, style

if len(sys.argv) != 3:
    sys.exit(f"usage: {__doc__}")
try:
    surface = nuscan_plots.load(sys.argv[1])
except nuscan_plots.NuscanError as problem:
    sys.exit(f"error: {problem}")
style.use()
figure, axes = plt.subplots(figsize=(5.6, 4.4), layout="constrained")
draw.plane_frame(axes, surface)
x, y = (axis.values for axis in surface.axes.values())
colours = axes.pcolormesh(x, y, surface.delta_chi2.T, vmax=15.0, cmap="cividis", shading="nearest", rasterized=True)
figure.colorbar(colours, label=r"$\Delta\chi^2$", extend="max")
draw.plane(axes, surface, style.Style("90% C.L.", "white"), cls=(0.90, 0.68), shade="none")
figure.savefig(sys.argv[2])
